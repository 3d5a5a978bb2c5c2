// Conversations as files: our JSON (everything, branches too), Markdown, FastChat's log (one a line), and
// what it trains on (`conversations` of `from` and `value`). Pure; whatever is read from a file is checked.
import type { Sampling } from "../api/chat";
import { titleOf, Turns, type Conversation, type Turn } from "./conversation";
import { fromMarkdown } from "./markdown_file";

export interface Whole {
  readonly conversation: Conversation;
  readonly turns: readonly Turn[];
}

const FORMAT = "argosy-conversations-1";
const IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$/;

export function asJson(all: readonly Whole[]): string {
  return JSON.stringify({ format: FORMAT, conversations: all }, null, 1);
}

export function asFastChat(all: readonly Whole[]): string {
  return all.map((each) => `${JSON.stringify(logLine(each))}\n`).join("");
}

function logLine({ conversation, turns }: Whole): unknown {
  const { id, model, system, sampling, leaf, updated } = conversation;
  return {
    tstamp: updated / 1000,
    type: "chat",
    model,
    gen_params: { temperature: sampling.temperature, top_p: sampling.top_p, max_new_tokens: sampling.max_tokens },
    state: {
      template_name: "argosy",
      system_message: system,
      roles: ["user", "assistant"],
      messages: new Turns(turns).path(leaf).map((turn) => [turn.role, turn.text]),
      offset: 0,
      conv_id: id,
      model_name: model,
    },
  };
}

export class FormatError extends Error {}

/** Every conversation of a file, under new ids. Raises FormatError for what is none of the formats. */
export function read(text: string, { id, now }: { id: () => string; now: number }): Whole[] {
  const told = fromMarkdown(text).map(({ title, system, model, sayings }): Found => ({ ...chain(sayings, system, model), title }));
  const values = told.length > 0 ? told : parsed(text).flatMap((value) => conversations(value));
  const found = values.map((each) => renamed(each, id, now));
  if (found.length === 0) throw new FormatError("no conversation");
  return found;
}

function parsed(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [value];
  } catch {
    try {
      return text.split("\n").filter((line) => line.trim()).map((line): unknown => JSON.parse(line));
    } catch {
      throw new FormatError("no JSON");
    }
  }
}

/** As it stands in a file: turns by place, not by id. */
interface Found {
  readonly title: string;
  readonly model: string;
  readonly system: string;
  readonly sampling: Sampling;
  readonly at: number | null;
  readonly leaf: number | null;
  readonly turns: readonly (Omit<Turn, "id" | "conversation" | "parent" | "at"> & { parent: number | null; at: number | null })[];
}

function conversations(value: unknown): Found[] {
  if (!isObject(value)) return [];
  if (value["format"] === FORMAT && Array.isArray(value["conversations"])) return value["conversations"].flatMap(own);
  if (isObject(value["state"])) return line(value, value["state"]);
  if (Array.isArray(value["conversations"])) return [chain(value["conversations"].map(spoken), "", texts(value["model"]))];
  if (Array.isArray(value["messages"])) return [chain(value["messages"].map(said), "", texts(value["model"]))];
  return [];
}

type Saying = readonly [role: string, text: string];

function line(value: Record<string, unknown>, state: Record<string, unknown>): Found[] {
  if (!Array.isArray(state["messages"])) return [];
  const roles = Array.isArray(state["roles"]) ? state["roles"] : ["user", "assistant"];
  const offset = typeof state["offset"] === "number" ? state["offset"] : 0;
  const sayings = state["messages"].slice(offset).map((each: unknown): Saying => {
    const [role, text] = Array.isArray(each) ? each : [];
    return [role === roles[0] ? "user" : "assistant", Array.isArray(text) ? texts(text[0]) : texts(text)];
  });
  const parameters = isObject(value["gen_params"]) ? value["gen_params"] : {};
  const at = typeof value["tstamp"] === "number" ? value["tstamp"] * 1000 : null;
  const model = texts(value["model"]) || texts(state["model_name"]);
  const sampling = settings({ ...parameters, max_tokens: parameters["max_new_tokens"] });
  return [{ ...chain(sayings, texts(state["system_message"]), model), sampling, at }];
}

const spoken = (each: unknown): Saying => (isObject(each) ? [role(each["from"]), texts(each["value"])] : ["", ""]);
const said = (each: unknown): Saying => (isObject(each) ? [role(each["role"]), texts(each["content"])] : ["", ""]);
const role = (name: unknown) =>
  name === "human" || name === "user" ? "user" : name === "system" ? "system" : name === "gpt" || name === "assistant" ? "assistant" : "";

function chain(sayings: readonly Saying[], system: string, model: string): Found {
  const turns = sayings.filter(([who, text]) => (who === "user" || who === "assistant") && text);
  const told = sayings.find(([who]) => who === "system")?.[1] ?? "";
  return {
    title: titleOf(turns[0]?.[1] ?? ""),
    model,
    system: system || told,
    sampling: {},
    at: null,
    leaf: turns.length - 1,
    turns: turns.map(([who, text], place) => ({
      role: who as Turn["role"],
      text,
      parent: place > 0 ? place - 1 : null,
      at: null,
      ...(who === "assistant" && model && { model }),
    })),
  };
}

function own(value: unknown): Found[] {
  if (!isObject(value) || !isObject(value["conversation"]) || !Array.isArray(value["turns"])) return [];
  const told = value["conversation"];
  const turns = value["turns"].filter(isObject).filter((turn) => role(turn["role"]) === turn["role"]);
  const places = new Map(turns.map((turn, place) => [texts(turn["id"]), place]));
  return [
    {
      title: texts(told["title"]),
      model: texts(told["model"]),
      system: texts(told["system"]),
      sampling: settings(told["sampling"]),
      at: typeof told["updated"] === "number" ? told["updated"] : null,
      leaf: places.get(texts(told["leaf"])) ?? null,
      turns: turns.map((turn) => ({
        role: turn["role"] as Turn["role"],
        text: texts(turn["text"]),
        parent: places.get(texts(turn["parent"])) ?? null,
        at: typeof turn["at"] === "number" ? turn["at"] : null,
        ...(texts(turn["model"]) && { model: texts(turn["model"]) }),
        ...(texts(turn["thinking"]) && { thinking: texts(turn["thinking"]) }),
        ...(Array.isArray(turn["images"]) && {
          images: turn["images"].filter((url): url is string => typeof url === "string" && IMAGE.test(url)),
        }),
      })),
    },
  ];
}

function renamed(found: Found, id: () => string, now: number): Whole {
  const conversation = id();
  const ids = found.turns.map(id);
  const named = (place: number | null) => (place === null ? null : (ids[place] ?? null));
  const { title, model, system, sampling, leaf, at } = found;
  return {
    conversation: {
      id: conversation,
      title: title.slice(0, 200),
      model,
      system,
      sampling,
      leaf: named(leaf ?? found.turns.length - 1),
      created: at ?? now,
      updated: at ?? now,
    },
    turns: found.turns.map((turn, place) => ({
      ...turn,
      id: ids[place] ?? "",
      conversation,
      parent: named(turn.parent),
      at: turn.at ?? now,
    })),
  };
}

const SETTINGS = ["temperature", "top_p", "top_k", "max_tokens", "seed"] as const;

function settings(value: unknown): Sampling {
  const told = isObject(value) ? value : {};
  return Object.fromEntries(SETTINGS.filter((name) => typeof told[name] === "number").map((name) => [name, told[name]]));
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const texts = (value: unknown) => (typeof value === "string" ? value : "");
