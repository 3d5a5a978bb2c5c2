// Looks: theme and language, put on <html>. The system's wish holds until somebody chooses.
import { effect } from "@preact/signals";
import { stored } from "./stored";

export type Theme = "system" | "light" | "dark";
export type Language = "en" | "zh";

const isTheme = (found: unknown): found is Theme => ["system", "light", "dark"].includes(found as string);
const isLanguage = (found: unknown): found is Language => found === "en" || found === "zh";

const asked = new URLSearchParams(location.search).get("lang");
export const theme = stored<Theme>("argosy.theme", "system", isTheme);
export const language = stored<Language>(
  "argosy.language",
  navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en",
  isLanguage,
);
if (isLanguage(asked)) language.value = asked;

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});
effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme.value;
});
