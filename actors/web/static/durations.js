// Words for times and numbers, as people read them from afar. Knows no agent and no clock.

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const NUMBER = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** 0:07, 12:34, 1:02:03, 3 d 04 h: the longer, the coarser. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const pair = (value) => String(value).padStart(2, "0");
  if (whole < HOUR_S) return `${minutes}:${pair(whole % 60)}`;
  const hours = Math.floor(whole / HOUR_S);
  if (whole < DAY_S) return `${hours}:${pair(minutes % 60)}:${pair(whole % 60)}`;
  return `${Math.floor(whole / DAY_S)} d ${pair(hours % 24)} h`;
}

/** For ears: "2 hours 5 minutes", "40 seconds". */
export function spoken(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / HOUR_S), "hour"],
    [Math.floor((whole % HOUR_S) / 60), "minute"],
    [whole < HOUR_S ? whole % 60 : 0, "second"],
  ];
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) =>
    `${count} ${unit}${count === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}

export function count(value) {
  return NUMBER.format(value);
}

/** In the reader's own zone. */
export function clockTime(atMs) {
  return CLOCK.format(atMs);
}

/** With the day, if it is not today's. */
export function moment(atMs, nowMs) {
  const isToday = new Date(atMs).toDateString() === new Date(nowMs).toDateString();
  return isToday ? clockTime(atMs) : `${DAY.format(atMs)}, ${clockTime(atMs)}`;
}
