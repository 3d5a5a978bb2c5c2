export default function View() { return <p>compare</p>; }
