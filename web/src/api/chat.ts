// One chat: its request, and the answer as it comes. Used by the chat, the comparison and the arena alike.
import type { Figures } from "./figures";
import { ask, DoorError, envelope, sentence } from "./http";
import { events } from "./sse";

export type Part = { type: "text"; text: string } | { type: "image_url"; image_url: { url: string } };
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | readonly Part[];
}

/** What a person may set; what is undefined is left to the model. */
export interface Sampling {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  max_tokens?: number;
  seed?: number;
}

export interface Answer {
  readonly text: string;
  readonly thinking: string;
  readonly figures: Figures | null;
  readonly error: string | null; // it broke; what came before stays
  readonly status: number; // of a refusal, else 0
  readonly stopped: boolean; // by the person
  readonly cut: boolean; // by the bound on its length
  readonly model: string | null; // as the answer names it
}

const NOTHING: Answer = {
  text: "",
  thinking: "",
  figures: null,
  error: null,
  status: 0,
  stopped: false,
  cut: false,
  model: null,
};

interface Chunk {
  model?: string;
  choices?: { delta?: { content?: unknown; reasoning_content?: unknown; reasoning?: unknown }; finish_reason?: string | null }[];
  usage?: { completion_tokens?: number; prompt_tokens?: number } | null;
  timings?: { predicted_n?: number; prompt_n?: number; cache_n?: number } | null;
}

const words = (value: unknown) => (typeof value === "string" ? value : "");
const now = () => performance.now() / 1000;

/** Ends with the whole answer; never throws: what went wrong is in it. `onPart` hears of every state on the way. */
export async function chat(
  path: string,
  body: { model?: string; messages: readonly Message[] } & Sampling,
  { signal, onPart }: { signal: AbortSignal; onPart: (answer: Answer) => void },
): Promise<Answer> {
  const began = now();
  let answer = NOTHING;
  let first: number | null = null;
  let told: { completion?: number; prompt?: number } = {};
  let counted = 0;
  let ended = false;
  const measured = (): Figures | null =>
    first === null && counted === 0
      ? null
      : {
          firstTokenSeconds: first === null ? null : first - began,
          seconds: now() - began,
          tokens: told.completion ?? counted,
          promptTokens: told.prompt ?? null,
        };
  try {
    const response = await ask(path, {
      method: "POST",
      body: { ...body, stream: true, stream_options: { include_usage: true } },
      signal,
    });
    if (!response.body) throw new Error("no body");
    for await (const { data } of events(response.body)) {
      if (data === "[DONE]") {
        ended = true;
        break;
      }
      const broken = envelope(data);
      if (broken) throw new DoorError(0, broken.message, broken.code);
      const chunk = JSON.parse(data) as Chunk;
      const choice = chunk.choices?.[0];
      const text = words(choice?.delta?.content);
      const thinking = words(choice?.delta?.reasoning_content ?? choice?.delta?.reasoning);
      if (text || thinking) {
        first ??= now();
        counted += 1;
      }
      if (choice?.finish_reason) ended = true;
      if (chunk.usage) {
        told = {
          ...(chunk.usage.completion_tokens !== undefined && { completion: chunk.usage.completion_tokens }),
          ...(chunk.usage.prompt_tokens !== undefined && { prompt: chunk.usage.prompt_tokens }),
        };
      }
      answer = {
        ...answer,
        text: answer.text + text,
        thinking: answer.thinking + thinking,
        cut: answer.cut || choice?.finish_reason === "length",
        model: answer.model ?? chunk.model ?? null,
        figures: measured(),
      };
      onPart(answer);
    }
    return ended ? { ...answer, figures: measured() } : { ...answer, figures: measured(), error: "unfinished" };
  } catch (error) {
    if (signal.aborted) return { ...answer, figures: measured(), stopped: true };
    const status = error instanceof DoorError ? error.status : 0;
    return { ...answer, figures: measured(), error: sentence(error), status };
  }
}
