// Buttons: with words, or with a drawing and words for screen readers and a hovering pointer.
import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./icons";

interface Props {
  readonly label: string;
  readonly icon?: IconName;
  readonly onClick: () => void;
  readonly disabled?: boolean;
  readonly kind?: "plain" | "main" | "danger" | "quiet";
  readonly pressed?: boolean;
  readonly round?: boolean;
  readonly children?: ComponentChildren;
}

/** With `children` those are seen, else the icon alone; `label` is read aloud either way. */
export function Button({ label, icon, onClick, disabled = false, kind = "plain", pressed, round = false, children }: Props): JSX.Element {
  const bare = children === undefined;
  return (
    <button
      type="button"
      class={`button ${kind}${bare ? " bare" : ""}${round ? " round" : ""}`}
      onClick={onClick}
      disabled={disabled}
      aria-label={label}
      {...(bare && { title: label })}
      {...(pressed !== undefined && { "aria-pressed": pressed })}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
