// Small drawings of one stroke; always beside words or an aria-label, so never read aloud.
import type { JSX } from "preact";

const PATHS = {
  send: "M12 20V5M5 11l7-7 7 7",
  stop: "M7 7h10v10H7z",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "M5 13l4 4L19 7",
  again: "M4 12a8 8 0 1 1 2.500 5.800M4 20v-5h5",
  edit: "M5 19l1-4L16 5l3 3L9 18zM14 7l3 3",
  branch: "M6 4v11M6 15a2.500 2.500 0 1 0 .01 0M18 9a2.500 2.500 0 1 0-.01 0M18 9c0 4-6 3-10.500 6.500",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  settings: "M4 8h10M18 8h2M4 16h2M10 16h10M16 6v4M8 14v4",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
  open: "M12 16V5M7 9l5-5 5 5M5 20h14",
  key: "M8 11a4.500 4.500 0 1 0 .01 0M11 12.500L20 3.500M16 7.500l3 3M13.500 10l2 2",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M19 5l-1.500 1.500M6.500 17.500L5 19",
  moon: "M19 14a8 8 0 0 1-9-9 8 8 0 1 0 9 9z",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  podium: "M9 20V8h6v12M9 12H4v8h16v-6h-5",
  columns: "M4 5h7v14H4zM13 5h7v14h-7z",
  search: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM20 20l-4.500-4.500",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
