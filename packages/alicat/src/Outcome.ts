/**
 * What one try at a device gave: a reading, or why there is none.
 */
import { DeviceError, type DeviceFailure, type Reading, SampleClock } from "@sampleline/core"
import { Effect } from "effect"
import type { RequestError } from "./Port.ts"

/**
 * @since 0.1.0
 * @category models
 */
export type Outcome = Reading | DeviceFailure

/**
 * @since 0.1.0
 * @category constructors
 */
export const failureOf = (error: DeviceError): Effect.Effect<DeviceFailure> =>
  Effect.map(SampleClock.current, (clock) => ({ device: error.device, error, at: clock.epochMicros() }))

/**
 * @since 0.1.0
 * @category conversions
 */
export const toDeviceError = (device: string, error: RequestError): DeviceError =>
  new DeviceError({ device, reason: REASONS[error._tag], detail: error.message, cause: error })

const REASONS = {
  NoReply: "Timeout",
  PortGone: "Disconnected",
  PortStreams: "Busy",
  MalformedReply: "Malformed",
  RejectedCommand: "Rejected"
} as const satisfies { readonly [tag in RequestError["_tag"]]: DeviceError["reason"] }
