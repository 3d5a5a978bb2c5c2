// A dialog above the page: the browser's own, which keeps the focus in and gives it back, and closes at Escape.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { w } from "../words";
import { Button } from "./button";

export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  const title = useId();
  useEffect(() => {
    const shown = box.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={box} class="dialog" aria-labelledby={title} onCancel={props.onClose} onClose={props.onClose}>
      <header>
        <h2 id={title}>{props.title}</h2>
        <Button label={w.value.close} icon="close" kind="quiet" onClick={props.onClose} />
      </header>
      {props.children}
    </dialog>
  );
}
