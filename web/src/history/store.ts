// The history in this browser's IndexedDB: conversations by id, turns by id with an index on their conversation, so that
// a turn more costs the same in a conversation of two and of ten thousand.
import type { Conversation, Turn } from "./conversation";
import type { Whole } from "./formats";

const NAME = "argosy";
const VERSION = 1;

export class Store {
  #opened: Promise<IDBDatabase> | null = null;

  list(): Promise<Conversation[]> {
    return this.#read((database) => database.transaction("conversations").objectStore("conversations").getAll());
  }

  turns(conversation: string): Promise<Turn[]> {
    return this.#read((database) =>
      database.transaction("turns").objectStore("turns").index("conversation").getAll(conversation),
    );
  }

  async whole(conversations: readonly Conversation[]): Promise<Whole[]> {
    return Promise.all(
      conversations.map(async (conversation) => ({ conversation, turns: await this.turns(conversation.id) })),
    );
  }

  async put(conversation: Conversation | null, turns: readonly Turn[] = []): Promise<void> {
    const database = await this.#open();
    const writing = database.transaction(["conversations", "turns"], "readwrite");
    if (conversation) writing.objectStore("conversations").put(conversation);
    for (const turn of turns) writing.objectStore("turns").put(turn);
    await done(writing);
  }

  async remove(conversation: string): Promise<void> {
    const database = await this.#open();
    const writing = database.transaction(["conversations", "turns"], "readwrite");
    writing.objectStore("conversations").delete(conversation);
    const found = writing.objectStore("turns").index("conversation").openKeyCursor(conversation);
    found.onsuccess = () => {
      if (!found.result) return;
      writing.objectStore("turns").delete(found.result.primaryKey);
      found.result.continue();
    };
    await done(writing);
  }

  /** The conversations in which some turn has these words, however written. */
  async saying(text: string): Promise<Set<string>> {
    const wanted = text.toLowerCase();
    const found = new Set<string>();
    const database = await this.#open();
    const looking = database.transaction("turns").objectStore("turns").openCursor();
    return new Promise((resolve, reject) => {
      looking.onerror = () => reject(looking.error);
      looking.onsuccess = () => {
        const at = looking.result;
        if (!at) return resolve(found);
        const turn = at.value as Turn;
        if (!found.has(turn.conversation) && turn.text.toLowerCase().includes(wanted)) found.add(turn.conversation);
        at.continue();
      };
    });
  }

  async #read<T>(ask: (database: IDBDatabase) => IDBRequest<T>): Promise<T> {
    const asked = ask(await this.#open());
    return new Promise((resolve, reject) => {
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  }

  #open(): Promise<IDBDatabase> {
    this.#opened ??= new Promise((resolve, reject) => {
      const opening = indexedDB.open(NAME, VERSION);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore("conversations", { keyPath: "id" });
        opening.result.createObjectStore("turns", { keyPath: "id" }).createIndex("conversation", "conversation");
      };
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error);
    });
    return this.#opened;
  }
}

function done(writing: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    writing.oncomplete = () => resolve();
    writing.onerror = writing.onabort = () => reject(writing.error);
  });
}
