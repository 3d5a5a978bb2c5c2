// A view that is loaded when it is first shown; with a way on when that fails.
import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { w } from "../words";
import { Button } from "./button";

export function lazy(load: () => Promise<{ default: ComponentType }>): () => JSX.Element {
  let found: ComponentType | null = null;
  return function Lazy() {
    const [View, show] = useState<ComponentType | null>(() => found);
    const [failed, fail] = useState(false);
    const bring = () => {
      fail(false);
      load().then(
        (module) => {
          found = module.default;
          show(() => module.default);
        },
        () => fail(true),
      );
    };
    useEffect(() => {
      if (!View) bring();
    }, []);
    if (View) return <View />;
    if (!failed) return <p class="waiting">{w.value.loading}</p>;
    return (
      <p class="fault" role="alert">
        {w.value.partNotLoaded} <Button label={w.value.retry} onClick={() => location.reload()}>{w.value.retry}</Button>
      </p>
    );
  };
}
