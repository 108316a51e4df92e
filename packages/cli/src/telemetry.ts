/**
 * `--metrics` and `--otlp`: a recording that can be watched from outside. What serves and what sends is loaded only when it is asked
 * for, and opened before any device or output.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { RunError, UsageError } from "./errors.ts"
import type { Settings } from "./settings.ts"

/** Where metrics are served. */
export interface MetricsAddress {
  readonly host: string
  /** 0 is any free port. */
  readonly port: number
}

export const METRICS_FORM = "a port such as 9464, or HOST:PORT such as 0.0.0.0:9464"

/** `9464` is a port of this machine's own address. None if the text is neither a port nor `HOST:PORT`. */
export const parseMetricsAddress = (text: string): Option.Option<MetricsAddress> => {
  const [, inBrackets, plain, digits] = /^(?:(?:\[([\da-fA-F:.]+)\]|([^\s:/@[\]]+)):)?(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits ?? Number.NaN)
  return port <= 65_535 ? Option.some({ host: inBrackets ?? plain ?? "127.0.0.1", port }) : Option.none()
}

export const COLLECTOR_FORM = "a URL such as http://127.0.0.1:4318, without user, password and parameters"

/** The URL of a collector. None if it is not HTTP, or has a user, a password or parameters: those may be secrets. */
export const parseCollector = (text: string): Option.Option<string> => {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) &&
      `${url.username}${url.password}${url.search}${url.hash}` === ""
    ? Option.some(url.href.replace(/\/$/, ""))
    : Option.none()
}

type TelemetrySettings = Pick<Settings, "metrics" | "otlp">

/** What `run` counts and logs can be seen from outside, as the settings say. */
export const withTelemetry = <A, E, R>(
  settings: TelemetrySettings,
  run: Effect.Effect<A, E, R>
): Effect.Effect<A, E | RunError | UsageError, R> => Effect.provide(run, [metricsOf(settings), otlpOf(settings)])

const metricsOf = ({ metrics }: TelemetrySettings): Layer.Layer<never, RunError> =>
  metrics === undefined
    ? Layer.empty
    : Layer.unwrap(Effect.map(Effect.promise(() => import("./metricsServer.ts")), ({ layer }) => layer(metrics)))

const otlpOf = ({ otlp }: TelemetrySettings): Layer.Layer<never, UsageError> =>
  otlp === undefined
    ? Layer.empty
    : Layer.unwrap(Effect.map(Effect.promise(() => import("./otlp.ts")), ({ layer }) => layer(otlp)))

/** Fails as a recording with these settings would, and leaves nothing open. */
export const checkTelemetry = ({ metrics }: TelemetrySettings): Effect.Effect<void, RunError> =>
  metrics === undefined
    ? Effect.void
    : Effect.flatMap(
      Effect.promise(() => import("./metricsServer.ts")),
      ({ listen }) => Effect.scoped(Effect.asVoid(listen(metrics)))
    )
