// What the official client of Node does beyond a plain stream, at ARGOSY_URL; run by test_guide.py.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.ARGOSY_URL, apiKey: "none", maxRetries: 0 });
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const ask = (content, more) =>
  client.chat.completions.create({ model: "qwen", messages: [{ role: "user", content }], temperature: 0, max_tokens: 200, ...more });

const tools = [{ type: "function", function: { name: "get_weather", description: "The weather in a city.", parameters: city } }];
const called = await ask("How is the weather in Paris? Use the tool.", { tools, tool_choice: "required" });
assert.deepEqual(JSON.parse(called.choices[0].message.tool_calls[0].function.arguments), { city: "Paris" });

const schema = { name: "city", schema: city };
const bound = await ask("The capital of France.", { response_format: { type: "json_schema", json_schema: schema } });
assert.equal(JSON.parse(bound.choices[0].message.content).city, "Paris");

const stream = await ask("Count to a thousand.", { stream: true, max_tokens: 2000 });
for await (const chunk of stream) {
  if (chunk.choices[0]?.delta?.content) break; // leaves the stream, which closes it
}

const vectors = await client.embeddings.create({ model: "embedder", input: ["ships", "a fleet"] });
assert.deepEqual(vectors.data.map((each) => each.embedding.length), [576, 576]);

await assert.rejects(client.chat.completions.create({ model: "nobody", messages: [{ role: "user", content: "x" }] }), OpenAI.NotFoundError);
console.log("all as it should be");
