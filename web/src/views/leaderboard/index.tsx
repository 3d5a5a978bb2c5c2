export default function View() { return <p>leaderboard</p>; }
