// A streamed chat through the official client of Node: npm install openai; node openai_node.mjs "Why is the sky blue?"
//
// ARGOSY_URL and ARGOSY_API_KEY say where and with which key; without them, the demonstration fleet of `make up`.
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: process.env.ARGOSY_URL ?? "http://127.0.0.1:8000/v1",
  apiKey: process.env.ARGOSY_API_KEY ?? "none needed on loopback",
});
const question = process.argv.slice(2).join(" ") || "Write one sentence about ships.";
const model = process.env.ARGOSY_MODEL ?? (await client.models.list()).data[0].id;
const messages = [{ role: "user", content: question }];
const stream = await client.chat.completions.create({ model, messages, max_tokens: 200, stream: true });
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
process.stdout.write("\n");
