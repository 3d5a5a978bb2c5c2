// Conversations as Markdown: for people to read, and read back without branches and pictures. Pure.
import { Turns, type Conversation, type Turn } from "./conversation";

/** As it stands in a file. `model`: the last one that answered. */
export interface MarkdownTalk {
  readonly title: string;
  readonly system: string;
  readonly model: string;
  readonly sayings: readonly (readonly [role: "user" | "assistant", text: string])[];
}

const BETWEEN = "\n---\n\n";
const HEADING = /^## (system|user|assistant)(?: \((.*)\))?$/m;
// What would end a text: a line that looks like one of our headings, or like the border of two conversations.
const ENDING = "## (?:system|user|assistant)(?: \\(.*\\))?$|---\\n\\n# ";
const kept = (text: string) => text.replace(new RegExp(`^(\\\\*)(?=${ENDING})`, "gm"), "$1\\");
const restored = (text: string) => text.replace(new RegExp(`^\\\\(\\\\*)(?=${ENDING})`, "gm"), "$1");

export function asMarkdown(all: readonly { conversation: Conversation; turns: readonly Turn[] }[]): string {
  return all.map(({ conversation, turns }) => written(conversation, turns)).join(BETWEEN);
}

function written({ title, system, leaf }: Conversation, turns: readonly Turn[]): string {
  const parts = [`# ${title}`];
  if (system) parts.push(`## system\n\n${kept(system)}`);
  for (const turn of new Turns(turns).path(leaf)) {
    parts.push(`## ${turn.role}${turn.role === "assistant" && turn.model ? ` (${turn.model})` : ""}\n\n${kept(turn.text)}`);
  }
  return `${parts.join("\n\n")}\n`;
}

/** Nothing for a text that is none. */
export function fromMarkdown(text: string): MarkdownTalk[] {
  const lines = text.replace(/\r\n?/g, "\n");
  if (!lines.startsWith("# ")) return [];
  return lines.split(/\n---\n\n(?=# )/).map(talk).filter(({ sayings }) => sayings.length > 0);
}

function talk(part: string): MarkdownTalk {
  const [head = "", ...rest] = part.split(HEADING); // then role, model and text, again and again
  let system = "";
  let model = "";
  const sayings: MarkdownTalk["sayings"][number][] = [];
  for (let at = 0; at < rest.length; at += 3) {
    const [role, name, text] = [rest[at], rest[at + 1] ?? "", restored((rest[at + 2] ?? "").trim())];
    if (role === "system") system = text;
    else sayings.push([role === "user" ? "user" : "assistant", text]);
    if (name) model = name;
  }
  return { title: head.slice(2).trim(), system, model, sayings };
}
