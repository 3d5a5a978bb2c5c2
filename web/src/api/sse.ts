// Server-sent events out of a body's pieces, wherever those are cut. Pure but for `events`, which reads.

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

export class EventReader {
  #rest = "";

  /** The events that this piece completes. */
  push(piece: string): ServerEvent[] {
    const all = this.#rest + piece;
    const half = all.endsWith("\r") ? "\r" : ""; // its \n may come with the next piece
    const blocks = all.slice(0, all.length - half.length).replace(/\r\n?/g, "\n").split("\n\n");
    this.#rest = (blocks.pop() ?? "") + half;
    return blocks.map(read).filter((found) => found !== null);
  }

  /** What stands at the end without a blank line. */
  end(): ServerEvent[] {
    const last = read(this.#rest.replace(/\r\n?/g, "\n"));
    this.#rest = "";
    return last === null ? [] : [last];
  }
}

function read(block: string): ServerEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
    else if (line.startsWith("event:")) event = line.slice(6).trim();
  }
  return data.length > 0 ? { event, data: data.join("\n") } : null;
}

export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const found = new EventReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield* found.push(decoder.decode(value, { stream: true }));
    }
    yield* found.end();
  } finally {
    await reader.cancel().catch(() => undefined); // who leaves early frees the engine's slot
  }
}
