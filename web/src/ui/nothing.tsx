// What stands where there is nothing to show: why, and what to do.
import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./icons";

export function Nothing({ icon, text, children }: { icon: IconName; text: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="card nothing">
      <Icon name={icon} />
      <p>{text}</p>
      {children}
    </div>
  );
}
