/**
 * What the page and the server say to each other. Times are microseconds since the epoch.
 */

export interface View {
  readonly title: string
  readonly place: string
  readonly version: string
  readonly isLive: boolean
  readonly canMark: boolean
  readonly rateHz: number | null
  readonly from: number | null
  readonly until: number | null
  readonly runs: ReadonlyArray<Run>
  readonly devices: ReadonlyArray<Device>
  readonly series: ReadonlyArray<Series>
}

interface Run {
  readonly id: string
  readonly startedAt: number
  readonly endedAt: number | null
  readonly cause: string | null
  readonly detail: string | null
  readonly rateHz: number | null
  readonly host: string | null
  readonly metadata: { readonly [key: string]: unknown } | null
}

export interface Device {
  readonly name: string
  readonly unitId: string | null
  readonly manufacturer: string | null
  readonly model: string | null
  readonly serialNumber: string | null
  readonly firmware: string | null
  readonly calibrationDate: string | null
}

/** A number field of a device. */
export interface Series {
  readonly id: number
  readonly device: string
  readonly field: string
  readonly unit: string | null
}

/** A run event. `at`, `since_at` and `until_at` are ISO times. */
export interface EventRow {
  readonly at: string
  readonly event: string
  readonly device: string | null
  readonly reason: string | null
  readonly detail: string | null
  readonly since_at: string | null
  readonly until_at: string | null
  readonly duration_s: number | null
  readonly count: number | null
  readonly data: { readonly field?: string | null; readonly target?: string } | null
}

/** What the server tells up to four times a second. */
export interface State {
  readonly now: number
  /** Another number: the view has changed. */
  readonly viewVersion: number
  readonly eventCount: number
  readonly until: number | null
  /** How much of the file has been read, 0 to 1; null: nothing is being read. */
  readonly progress: number | null
  readonly ended: { readonly cause: string | null; readonly detail: string | null } | null
  readonly devices: ReadonlyArray<DeviceState>
  readonly alarms: ReadonlyArray<{ readonly text: string; readonly sinceSeconds: number }>
  readonly outputs: ReadonlyArray<{
    readonly name: string
    readonly state: string
    readonly rows: number
    readonly behind: number | null
  }>
  readonly log: ReadonlyArray<{ readonly level: string; readonly text: string }>
}

export interface DeviceState {
  readonly name: string
  readonly state: "waiting" | "ok" | "failing" | "changed" | "silent" | "recorded"
  readonly error: string | null
  readonly ageSeconds: number | null
  readonly status: ReadonlyArray<string>
  readonly fields: ReadonlyArray<{
    readonly name: string
    readonly unit: string | null
    readonly value: number | string | null
    readonly decimals: number
  }>
}

/** At most 1,000 events, the latest ones. `truncated`: there are more. */
interface Events {
  readonly events: ReadonlyArray<EventRow>
  readonly truncated: boolean
}

/** An answer that is no success. Its message is the server's. */
export class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export const getView = (): Promise<View> => request("/api/view").then((answer) => json<View>(answer))

export const getEvents = (from: number, until: number): Promise<Events> =>
  request(`/api/events?from=${Math.floor(from)}&until=${Math.ceil(until)}`).then((answer) => json<Events>(answer))

export const getRange = (
  wanted: {
    readonly from: number
    readonly until: number
    readonly points: number
    readonly series: ReadonlyArray<number>
  },
  signal: AbortSignal
): Promise<ArrayBuffer> =>
  request(
    `/api/range?from=${Math.floor(wanted.from)}&until=${Math.ceil(wanted.until)}&points=${wanted.points}&series=${
      wanted.series.join(",")
    }`,
    { signal }
  ).then((answer) => answer.arrayBuffer())

export const postMark = (text: string): Promise<unknown> => post("/api/mark", { text })

/** Gives a token. The server answers with a cookie. */
export const postSession = (token: string): Promise<unknown> => post("/api/session", { token })

const post = (path: string, body: unknown): Promise<unknown> =>
  request(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })

const request = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(path, init).then((answer) => answer.ok ? answer : refuse(answer))

const json = <A>(answer: Response): Promise<A> => answer.json() as Promise<A>

const refuse = (answer: Response): Promise<never> =>
  json<{ readonly error?: string }>(answer).then(
    ({ error }) => error ?? answer.statusText,
    () => answer.statusText
  ).then((message) => {
    throw new Refusal(answer.status, message)
  })
