// Where the page begins.
import { render } from "preact";
import { App } from "./app";
import "./style/page.css";

const place = document.getElementById("app");
if (place) render(<App />, place);
