export default function View() { return <p>fleet</p>; }
