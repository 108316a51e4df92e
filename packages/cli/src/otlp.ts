/**
 * `--otlp`: metrics, log and spans for a collector that speaks OTLP over HTTP.
 *
 * A collector never holds up a recording: requests are sent in the background, each has a time limit, and what could not be sent is
 * thrown away. At the end, what is left is sent within a second, or not at all.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import * as Layer from "effect/Layer"
import * as Otlp from "effect/observability/Otlp"
import * as Redacted from "effect/Redacted"
import { UsageError } from "./errors.ts"

const HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
const INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"

/** How long a collector may take to answer. */
const ANSWER_WITHIN = "5 seconds"
/** Many spans at once would make a tick late. */
const SPANS_EVERY = "1 second"
const SHUTDOWN_TIMEOUT = "1 second"

/** Sends while the scope is open. Names and headers come from the environment, as OpenTelemetry has them. */
export const layer = (baseUrl: string): Layer.Layer<never, UsageError> =>
  Layer.unwrap(Effect.gen(function*() {
    // Node loads its HTTP client at the first request, which takes longer than a tick may be late.
    yield* Effect.promise(() => fetch("data:,"))
    const { headers, interval, serviceName } = yield* Effect.mapError(
      Config.all({
        headers: Config.Redacted(HEADERS).pipe(Config.withDefault(Redacted.make(""))),
        interval: Config.Int(INTERVAL).pipe(Config.withDefault(10_000)),
        serviceName: Config.String("OTEL_SERVICE_NAME").pipe(Config.withDefault("sampleline"))
      }),
      () => new UsageError({ message: `${INTERVAL}: expected a whole number of milliseconds` })
    )
    return Otlp.layerJson({
      baseUrl,
      headers: yield* headersOf(headers),
      resource: { serviceName },
      metricsExportInterval: interval,
      tracerExportInterval: SPANS_EVERY,
      shutdownTimeout: SHUTDOWN_TIMEOUT
    }).pipe(Layer.provide(client))
  }))

/** `NAME=VALUE,NAME=VALUE`, percent-encoded. The error does not quote it. */
const headersOf = Effect.fnUntraced(function*(
  text: Redacted.Redacted
): Effect.fn.Return<Readonly<Record<string, string>>, UsageError> {
  const parts = Redacted.value(text).split(",").filter((part) => part.trim() !== "")
  const headers = yield* Effect.forEach(parts, (part) => {
    const [name, value] = [part.split("=", 1)[0]!.trim(), part.slice(part.indexOf("=") + 1).trim()]
    return part.includes("=") && /^[!#$%&'*+.^_`|~\w-]+$/.test(name) && isValue(value)
      ? Effect.succeed([name, decodeURIComponent(value)] as const)
      : new UsageError({ message: `${HEADERS}: expected headers such as NAME=VALUE,NAME=VALUE, percent-encoded` })
  })
  return Object.fromEntries(headers)
})

/** Whether a header can have this percent-encoded value. */
const isValue = (encoded: string): boolean => {
  try {
    return /^[\t\x20-\x7e\x80-\xff]*$/.test(decodeURIComponent(encoded))
  } catch {
    return false
  }
}

/** A client with a time limit. It tells once of a collector that does not take what is sent. */
const client = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, (client) => {
    let isTold = false
    const tell = (url: string, why: string) =>
      Effect.suspend(() => {
        if (isTold) return Effect.void
        isTold = true
        return Effect.logWarning(
          `--otlp ${url}: ${why}; telemetry is lost, and the recording goes on. Check the collector`
        )
      })
    return HttpClient.transform(client, (sending, request) =>
      sending.pipe(
        // The body belongs to the answer.
        Effect.tap((response) => response.arrayBuffer),
        Effect.timeoutOrElse({
          duration: ANSWER_WITHIN,
          orElse: () => {
            const reason = new TransportError({ request, description: `no answer within ${ANSWER_WITHIN}` })
            return Effect.fail(new HttpClientError({ reason }))
          }
        }),
        Effect.tap(({ status }) =>
          status < 300 ? Effect.void : tell(request.url, `the collector answered with status ${status}`)
        ),
        Effect.tapError(({ reason }) => tell(request.url, problemOf(reason))),
        Effect.onInterrupt(() => tell(request.url, "the collector had not answered when the run ended"))
      ))
  })
).pipe(Layer.provide(FetchHttpClient.layer))

/** Node says `fetch failed`, and why in the cause. A message of its own may quote a header. */
const problemOf = (reason: HttpClientError["reason"]): string => {
  const inner = reason.cause instanceof Error ? reason.cause.cause : undefined
  if (inner instanceof Error && "code" in inner) return `the collector cannot be reached (${String(inner.code)})`
  return reason._tag === "TransportError" && reason.description !== undefined
    ? reason.description
    : "the collector cannot be reached"
}
