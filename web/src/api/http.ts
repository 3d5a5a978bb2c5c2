// Asking the door: keys, errors in its own words. Knows no route.
import { keys, type KeyKind } from "../state/keys";

export class DoorError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null,
  ) {
    super(message);
  }
}

export interface Asking {
  readonly method?: string;
  readonly body?: unknown;
  readonly key?: KeyKind;
  readonly signal?: AbortSignal;
}

/** The answer, if it is a good one; else a DoorError. A 401 has the page ask for that key. */
export async function ask(path: string, { method = "GET", body, key = "client", signal }: Asking = {}): Promise<Response> {
  const headers = new Headers();
  const held = keys.value[key];
  if (held) headers.set("authorization", `Bearer ${held}`);
  if (body !== undefined) headers.set("content-type", "application/json");
  const answer = await fetch(path, {
    method,
    headers,
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    ...(signal && { signal }),
    credentials: "omit",
  });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export async function askJson<T>(path: string, asking?: Asking): Promise<T> {
  return (await (await ask(path, asking)).json()) as T;
}

async function refusal(answer: Response): Promise<DoorError> {
  const text = await answer.text().catch(() => "");
  const told = envelope(text);
  return new DoorError(answer.status, told?.message ?? (text.slice(0, 500) || `HTTP ${answer.status}`), told?.code ?? null);
}

/** What stands in OpenAI's error envelope. */
export function envelope(text: string): { message: string; code: string | null } | null {
  try {
    const error = (JSON.parse(text) as { error?: unknown }).error;
    if (typeof error === "string") return { message: error, code: null };
    const { message, code } = error as { message?: unknown; code?: unknown };
    return typeof message === "string" ? { message, code: typeof code === "string" ? code : null } : null;
  } catch {
    return null;
  }
}

export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
