/**
 * Why a request to a device gave no value.
 */
import { Schema } from "effect"
import type { MalformedReply, RejectedCommand } from "./wire/WireError.ts"

/** No reply came in time. */
export class NoReply extends Schema.TaggedError<NoReply>()("NoReply", {
  afterMs: Schema.Finite
}) {
  override get message() {
    return `no reply within ${this.afterMs} ms`
  }
}

/** The port is gone: unplugged, or closed by the system. */
export class PortGone extends Schema.TaggedError<PortGone>()("PortGone", {
  path: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `the port ${this.path} is gone`
  }
}

/** A device on the port streams. No other request can be sent until it stops. */
export class PortStreams extends Schema.TaggedError<PortStreams>()("PortStreams", {
  path: Schema.String,
  unitId: Schema.String
}) {
  override get message() {
    return `unit ${this.unitId} streams on ${this.path}; no other request can be sent there until it stops`
  }
}

/** Everything a request can fail with. */
export type RequestError = NoReply | PortGone | PortStreams | MalformedReply | RejectedCommand
