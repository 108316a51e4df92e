/** A time of an event, in microseconds since the epoch. */
export const microsOf = (time: string): number =>
  Date.parse(`${time.slice(0, 23)}Z`) * 1000 + Number(time.slice(23, 26))
