/**
 * What one try at a device gave: a reading or a failure.
 */
import { DeviceError, type DeviceFailure, type Reading, SampleClock } from "@sampleline/core"
import { Effect } from "effect"
import type { RequestError } from "./RequestError.ts"

export type Outcome = Reading | DeviceFailure

/** The failure, stamped with the time now. */
export const failureOf = (error: DeviceError): Effect.Effect<DeviceFailure> =>
  Effect.map(SampleClock.current, (clock) => ({ device: error.device, error, at: clock.epochMicros() }))

export const toDeviceError = (device: string, error: RequestError): DeviceError =>
  new DeviceError({ device, reason: REASONS[error._tag], detail: error.message, cause: error })

const REASONS = {
  NoReply: "Timeout",
  PortGone: "Disconnected",
  PortStreams: "Busy",
  MalformedReply: "Malformed",
  RejectedCommand: "Rejected"
} as const satisfies { readonly [tag in RequestError["_tag"]]: DeviceError["reason"] }
