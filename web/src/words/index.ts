// The words of the language that is chosen. A key that one language lacks is a type error.
import { computed } from "@preact/signals";
import { language } from "../state/preferences";
import { en } from "./en";
import { zh } from "./zh";

type Same<T> = {
  [K in keyof T]: T[K] extends (...values: infer A) => string ? (...values: A) => string : T[K] extends string ? string : Same<T[K]>;
};
export type Words = Same<typeof en>;

const ALL: Record<typeof language.value, Words> = { en, zh };
export const w = computed(() => ALL[language.value]);
