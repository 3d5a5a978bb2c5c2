// The page's pure parts; what needs a browser is in tests/browser.
import { describe, expect, it } from "vitest";
import { pace } from "../src/api/figures";
import { meanBetween, timings } from "../src/api/prometheus";
import { EventReader } from "../src/api/sse";
import { messagesOf, titleOf, Turns, type Conversation, type Turn } from "../src/history/conversation";
import { asMarkdown } from "../src/history/markdown_file";
import { lines } from "../src/ui/chart";
import { othersOn } from "../src/views/fleet/others";
import { together } from "../src/views/fleet/series";
import { asFastChat, asJson, FormatError, read } from "../src/history/formats";

const turn = (id: string, parent: string | null, role: Turn["role"], text: string): Turn => ({
  id, conversation: "c", parent, role, text, at: 1,
});
const conversation: Conversation = {
  id: "c", title: "Hello", model: "m", system: "Be brief.", sampling: { temperature: 0.5 }, leaf: "a2", created: 1, updated: 2,
};
const all = [turn("q", null, "user", "Hello"), turn("a1", "q", "assistant", "One"), turn("a2", "q", "assistant", "Two")];
const ids = () => {
  let next = 0;
  return { id: () => `new-${next++}`, now: 7 };
};

describe("server-sent events", () => {
  const stream = 'data: {"a":1}\r\n\r\n: comment\n\nevent: x\ndata: one\ndata: two\n\ndata: last';
  it("are the same wherever the pieces are cut", () => {
    const want = [
      { event: "message", data: '{"a":1}' },
      { event: "x", data: "one\ntwo" },
      { event: "message", data: "last" },
    ];
    for (let size = 1; size <= stream.length; size++) {
      const reader = new EventReader();
      const found = [];
      for (let at = 0; at < stream.length; at += size) found.push(...reader.push(stream.slice(at, at + size)));
      expect([...found, ...reader.end()], `pieces of ${size}`).toEqual(want);
    }
  });
});

describe("a conversation", () => {
  it("keeps every answer, and shows the path to its leaf", () => {
    const turns = new Turns(all);
    expect(turns.path("a2").map((each) => each.text)).toEqual(["Hello", "Two"]);
    expect(turns.siblings(all[1] as Turn)).toEqual(["a1", "a2"]);
    expect(turns.end("q")).toBe("a2");
  });
  it("ends, though a file says that its turns go round in circles", () => {
    expect(new Turns([turn("x", "y", "user", "1"), turn("y", "x", "user", "2")]).path("x")).toHaveLength(2);
  });
  it("sends its system prompt, its turns, and no answer that never came", () => {
    expect(messagesOf("Be brief.", [...all.slice(0, 1), turn("f", "q", "assistant", "")])).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello" },
    ]);
  });
  it("is named by its first line", () => {
    expect(titleOf("  One\nTwo")).toBe("One");
    expect(titleOf("## **Two** `words`")).toBe("Two words");
    expect(titleOf("x".repeat(100))).toHaveLength(60);
  });
});

describe("files", () => {
  const whole = { conversation, turns: all };
  it("bring back all that was written, under new names", () => {
    const [found] = read(asJson([whole]), ids());
    expect(found?.conversation).toMatchObject({ title: "Hello", system: "Be brief.", sampling: { temperature: 0.5 } });
    expect(found?.turns.map((each) => each.text)).toEqual(["Hello", "One", "Two"]);
    expect(new Turns(found?.turns).path(found?.conversation.leaf ?? null).map((each) => each.text)).toEqual(["Hello", "Two"]);
    expect(found?.turns[0]?.id).not.toBe("q");
  });
  it("read back as FastChat's log", () => {
    const [found] = read(asFastChat([whole]), ids());
    expect(found?.conversation).toMatchObject({ model: "m", system: "Be brief." });
    expect(found?.turns.map((each) => [each.role, each.text])).toEqual([["user", "Hello"], ["assistant", "Two"]]);
  });
  it("are read as FastChat trains on them", () => {
    const text = JSON.stringify([{ id: "1", conversations: [{ from: "human", value: "Hi" }, { from: "gpt", value: "Ho" }] }]);
    expect(read(text, ids())[0]?.turns.map((each) => each.role)).toEqual(["user", "assistant"]);
  });
  it("are Markdown to read", () => {
    expect(asMarkdown([whole])).toBe("# Hello\n\n## system\n\nBe brief.\n\n## user\n\nHello\n\n## assistant\n\nTwo\n");
  });
  it("of Markdown come back, whatever their texts look like", () => {
    const wild = "```yaml\n---\n\n# a heading\n```\n## user\n\\## assistant (x)\n\nend";
    const other = { conversation, turns: [turn("q", null, "user", wild), { ...turn("a2", "q", "assistant", wild), model: "a/b (c)" }] };
    const found = read(asMarkdown([whole, other]), ids());
    expect(found.map((each) => each.turns.map((one) => one.text))).toEqual([["Hello", "Two"], [wild, wild]]);
    expect(found[1]?.conversation).toMatchObject({ title: "Hello", system: "Be brief.", model: "a/b (c)" });
  });
  it("that are none are refused", () => {
    for (const text of ["", "{", "[]", '{"a":1}', "null", '{"conversations":5}', "# a heading\n\nand no more"]) {
      expect(() => read(text, ids()), text).toThrow(FormatError);
    }
  });
  it("bring no picture from elsewhere", () => {
    const spied = asJson([{ conversation, turns: [{ ...(all[0] as Turn), images: ["https://evil.example/x.png"] }] }]);
    expect(read(spied, ids())[0]?.turns[0]?.images).toEqual([]);
  });
});

describe("charts", () => {
  it("end at the right with the newest value, and break where one is missing", () => {
    const drawn = lines([...Array<number>(57).fill(0), 1, null, 2]);
    expect(drawn.map((run) => run.length)).toEqual([58, 1]);
    expect(drawn[1]).toEqual([[160, 3]]);
    expect(drawn[0]?.[57]).toEqual([154.6, 20]);
  });
  it("of a fleet are sums of its deployments', also of those that came later", () => {
    expect(together([[1, 2, null], [5]])).toEqual([1, 2, 5]);
    expect(together([])).toEqual([]);
  });
});

describe("figures", () => {
  it("of histograms are means between two looks", () => {
    const text = (sum: number, count: number) =>
      `# HELP x\nargosy_t_seconds_bucket{model_name="a",le="1"} 5\nargosy_t_seconds_count{model_name="a"} ${count}\nargosy_t_seconds_sum{model_name="a"} ${sum}\n`;
    const before = timings(text(1, 1), "argosy_t_seconds").get("a");
    expect(meanBetween(before, timings(text(4, 3), "argosy_t_seconds").get("a"))).toBe(1.5);
    expect(meanBetween(before, before)).toBeNull();
    expect(meanBetween(undefined, before)).toBeNull();
  });
  it("of an answer count from its first token", () => {
    expect(pace({ firstTokenSeconds: 1, seconds: 3, tokens: 21, promptTokens: null })).toBe(10);
    expect(pace({ firstTokenSeconds: 1, seconds: 1.01, tokens: 9, promptTokens: null })).toBeNull();
    expect(pace({ firstTokenSeconds: 1, seconds: 1, tokens: 1, promptTokens: null })).toBeNull();
  });
});

describe("a GPU's memory that others have", () => {
  const device = { index: 0, name: "A100", memory_bytes: 80, free_bytes: 30, replicas: [{ replica: "m.0", memory_bytes: 40, fleet: "f" }] };
  it("is what is used but for the replicas' own", () => {
    expect(othersOn({ ...device, processes: [] })).toBe(50);
    expect(othersOn({ ...device, processes: [{ replica: "m.0", memory_bytes: 35 }, { replica: "", memory_bytes: 15 }] })).toBe(15);
  });
  it("is what was not given out, where the driver does not tell what a replica has", () => {
    expect(othersOn({ ...device, processes: [{ replica: "m.0", memory_bytes: null }] })).toBe(10);
  });
});
