// The page's frame: where to go, in which language and light; and the view that is asked for.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { watchModels } from "./api/models";
import { loadLibrary } from "./history/library";
import { KeyDialog } from "./key_dialog";
import { forget, keys } from "./state/keys";
import { language, theme, type Theme } from "./state/preferences";
import { address, route, VIEWS, type ViewName } from "./state/route";
import { Announcer } from "./ui/announce";
import { Button } from "./ui/button";
import type { IconName } from "./ui/icons";
import { lazy } from "./ui/lazy";
import { Chat } from "./views/chat";
import { w } from "./words";
import logo from "./style/logo.svg";

const OTHERS: Record<Exclude<ViewName, "chat">, () => JSX.Element> = {
  compare: lazy(() => import("./views/compare")),
  arena: lazy(() => import("./views/arena")),
  leaderboard: lazy(() => import("./views/leaderboard")),
  fleet: lazy(() => import("./views/fleet")),
};

export function App(): JSX.Element {
  const [ready, setReady] = useState(false);
  useEffect(() => {
    void loadLibrary().then(() => setReady(true));
    return watchModels();
  }, []);
  const { view } = route.value;
  const t = w.value;
  useEffect(() => {
    document.title = `${t.views[view]} · Argosy`;
  }, [view, t]);
  const Other = view === "chat" ? null : OTHERS[view];
  return (
    <>
      <a class="skip" href="#content" onClick={(event) => {
        event.preventDefault();
        document.getElementById("content")?.focus();
      }}>{t.skip}</a>
      <header class="top">
        <a class="brand" href={address("chat")}>
          <img src={logo} alt="" width="28" height="28" />
          <span>Argosy</span>
        </a>
        <nav aria-label={t.navigation}>
          {VIEWS.map((each) => (
            <a key={each} href={address(each)} {...(each === view && { "aria-current": "page" as const })}>
              {t.views[each]}
            </a>
          ))}
        </nav>
        <div class="row one">
          {(keys.value.client || keys.value.admin) && (
            <Button label={t.keyForget} icon="key" kind="quiet" onClick={() => {
              forget("client");
              forget("admin");
            }} />
          )}
          <ThemeButton />
          <LanguageButton />
        </div>
      </header>
      <main id="content" tabIndex={-1}>{Other ? <Other key={view} /> : <Chat ready={ready} />}</main>
      <KeyDialog />
      <Announcer />
    </>
  );
}

function LanguageButton(): JSX.Element {
  const other = language.value === "en" ? { code: "zh", tag: "zh-CN", name: "中文" } as const : { code: "en", tag: "en", name: "English" } as const;
  return (
    <Button label={`${w.value.language}: ${other.name}`} kind="quiet" onClick={() => (language.value = other.code)}>
      <span lang={other.tag}>{other.name}</span>
    </Button>
  );
}

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const DRAWN: Record<Theme, IconName> = { system: "auto", light: "sun", dark: "moon" };

function ThemeButton(): JSX.Element {
  const t = w.value;
  const now = theme.value;
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length] ?? "system";
  return <Button label={`${t.theme}: ${t.themes[now]}`} icon={DRAWN[now]} kind="quiet" onClick={() => (theme.value = next)} />;
}
