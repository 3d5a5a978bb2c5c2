// The arena's surface: what is drawn, and who was who, is known to the server alone until the vote.
import { ask, askJson, DoorError } from "./http";

export type Side = "a" | "b";
export type Winner = Side | "tie" | "both_bad";

export interface ArenaState {
  readonly enabled: boolean;
  readonly reason?: string | null;
  readonly models: readonly string[];
  readonly minimum_votes: number;
}

export interface Verdict {
  readonly models: Readonly<Record<Side, string>>;
  readonly counted: boolean;
  readonly why_not: string | null;
}

export interface Standing {
  readonly model: string;
  readonly rank: number;
  readonly rating: number;
  readonly low: number;
  readonly high: number;
  readonly elo: number;
  readonly votes: number;
  readonly preliminary: boolean;
}

export interface Leaderboard {
  readonly votes: number;
  readonly languages: readonly string[];
  readonly models: readonly Standing[];
  readonly win_matrix: {
    readonly models: readonly string[];
    readonly rates: readonly (readonly (number | null)[])[];
    readonly battles: readonly (readonly number[])[];
  };
}

const ROOT = "/argosy/v1/arena";

/** Whether this door has no arena. */
export const isOff = (error: unknown) => error instanceof DoorError && error.status === 404 && error.code === "unknown_url";

export const arenaState = () => askJson<ArenaState>(ROOT);
export const newBattle = (language: string) =>
  askJson<{ id: string }>(`${ROOT}/battles`, { method: "POST", body: { language } });
export const sidePath = (battle: string, side: Side) => `${ROOT}/battles/${encodeURIComponent(battle)}/sides/${side}/chat`;
export const vote = (battle: string, winner: Winner) =>
  askJson<Verdict>(`${ROOT}/battles/${encodeURIComponent(battle)}/vote`, { method: "POST", body: { winner } });
export const namedVote = (models: readonly [string, string], winner: Winner, language: string) =>
  ask(`${ROOT}/votes`, { method: "POST", body: { models, winner, language } });
export const leaderboard = (language: string, kind: string) =>
  askJson<Leaderboard>(`${ROOT}/leaderboard?language=${encodeURIComponent(language)}&kind=${encodeURIComponent(kind)}`);

/** Of what was written, as far as it shows: Chinese characters, else English. */
export const languageOf = (text: string) => (/[\u3400-\u9fff]/.test(text) ? "zh" : "en");
