export default function View() { return <p>arena</p>; }
