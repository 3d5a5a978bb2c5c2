// A component that is drawn again only when `same` says so; preact/compat has it, with much that is not needed here.
import { Component, h, type FunctionComponent } from "preact";

export function memo<P extends object>(
  drawn: FunctionComponent<P>,
  same: (before: P, after: P) => boolean,
): FunctionComponent<P> {
  class Memo extends Component<P> {
    override shouldComponentUpdate(after: P): boolean {
      return !same(this.props as P, after);
    }
    override render() {
      return h(drawn, this.props as P);
    }
  }
  return Memo as unknown as FunctionComponent<P>;
}
