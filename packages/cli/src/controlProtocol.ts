/**
 * How `status`, `mark` and `stop` talk to a running recorder: one line of JSON asks, lines of JSON reply.
 *
 * `status` and `mark` get one reply. `stop` gets `ending` at once and `ended` later; then the connection closes with the recorder's
 * process, when files and ports are free. A recorder of another version refuses the request and says so.
 */
import * as Schema from "effect/Schema"

export const VERSION = 1

/** The longest request, in characters with its line end. */
export const LONGEST_REQUEST = 65_536

export const LONGEST_MARK = 500

const request = <const Ask extends string, const Fields extends Schema.Struct.Fields>(ask: Ask, fields: Fields) =>
  Schema.Struct({ version: Schema.Literal(VERSION), ask: Schema.Literal(ask), ...fields })

export const Request = Schema.Union([
  request("status", {}),
  request("mark", { text: Schema.String }),
  request("stop", {})
])

export type Request = typeof Request.Type

/** Times are as in the outputs, such as `2026-03-01T12:00:00.000123Z`. */
const DeviceStatus = Schema.Struct({
  name: Schema.String,
  model: Schema.NullOr(Schema.String),
  serialNumber: Schema.NullOr(Schema.String),
  /** As in the live table. `waiting`: nothing was heard of it yet. */
  state: Schema.Literals(["waiting", "ok", "failing", "changed", "silent"]),
  /** Why it fails; null if it does not. */
  detail: Schema.NullOr(Schema.String),
  failures: Schema.Int,
  /** When the last reading came, and how long ago; null before the first one. */
  lastAt: Schema.NullOr(Schema.String),
  ageSeconds: Schema.NullOr(Schema.Finite),
  /** The last reading. */
  values: Schema.Array(Schema.Struct({
    field: Schema.String,
    value: Schema.NullOr(Schema.Union([Schema.Finite, Schema.String])),
    unit: Schema.NullOr(Schema.String)
  })),
  status: Schema.Array(Schema.String)
})

const OutputStatus = Schema.Struct({
  target: Schema.String,
  /** `waiting`: it fails in passing and is tried again. `stopped`: it has failed for good. */
  state: Schema.Literals(["writing", "waiting", "stopped"]),
  rows: Schema.Int,
  /** Samples and events that it lacks. */
  behind: Schema.Int,
  error: Schema.NullOr(Schema.String)
})

/** An alarm that is raised. */
const RaisedAlarm = Schema.Struct({
  alarm: Schema.String,
  /** What raised it, in one line. */
  message: Schema.String,
  since: Schema.String
})

const Status = Schema.Struct({
  reply: Schema.Literal("status"),
  state: Schema.Literals(["recording", "ending"]),
  /** Null before the first tick. */
  runId: Schema.NullOr(Schema.String),
  startedAt: Schema.String,
  at: Schema.String,
  seconds: Schema.Finite,
  ticks: Schema.Int,
  samples: Schema.Int,
  lateTicks: Schema.Int,
  /** Failed polls of all devices. */
  failures: Schema.Int,
  devices: Schema.Array(DeviceStatus),
  outputs: Schema.Array(OutputStatus),
  alarms: Schema.Array(RaisedAlarm)
})

export type Status = typeof Status.Type

const Marked = Schema.Struct({ reply: Schema.Literal("marked"), at: Schema.String })

const Ending = Schema.Struct({ reply: Schema.Literal("ending") })

const Ended = Schema.Struct({
  reply: Schema.Literal("ended"),
  /** Why the recording failed, or what its outputs lack; null if all is well. */
  failure: Schema.NullOr(Schema.String),
  /** The summary as text, and as the JSON that `record --json` prints. */
  text: Schema.String,
  summary: Schema.String
})

export type Ended = typeof Ended.Type

const Refused = Schema.Struct({ reply: Schema.Literal("refused"), why: Schema.String })

export const Reply = Schema.Union([Status, Marked, Ending, Ended, Refused])

export type Reply = typeof Reply.Type

/** Where a recorder listens. A file of this form in the journal's folder tells it. */
export const Address = Schema.Struct({
  version: Schema.Int,
  pid: Schema.Int,
  host: Schema.String,
  /** The Unix socket, or the named pipe. */
  socket: Schema.String
})

export type Address = typeof Address.Type
