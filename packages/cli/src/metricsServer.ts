/**
 * `--metrics`: what the recorder counts, for Prometheus, at `http://HOST:PORT/metrics`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { getSystemErrorMessage } from "node:util"
import { RunError } from "./errors.ts"
import type { MetricsAddress } from "./telemetry.ts"

/** Serves metrics while the scope is open. */
export const layer = (address: MetricsAddress): Layer.Layer<never, RunError> =>
  Layer.effectDiscard(Effect.flatMap(listen(address), (url) => Effect.logInfo(`metrics are at ${url}`)))

/** The URL at which metrics are served while the scope is open. */
export const listen = Effect.fnUntraced(function*(
  address: MetricsAddress
): Effect.fn.Return<string, RunError, Scope.Scope> {
  const context = yield* Effect.context()
  const server = http.createServer((request, response) => {
    if (request.url?.split("?", 1)[0] !== PATH) {
      response.writeHead(404).end(`metrics are at ${PATH}\n`)
      return
    }
    response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8")
    response.end(PrometheusMetrics.formatUnsafe(context))
  })
  yield* Effect.acquireRelease(
    Effect.callback<void, RunError>((resume) => {
      server.once("error", (error: NodeJS.ErrnoException) => resume(Effect.fail(refusal(address, error))))
      server.listen({ ...address, exclusive: true }, () => resume(Effect.void))
    }),
    // A client that is slow to read must not hold up the end of the run.
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  const { port } = server.address() as AddressInfo
  return `http://${textOf({ ...address, port })}${PATH}`
})

const PATH = "/metrics"

const textOf = ({ host, port }: MetricsAddress): string => `${host.includes(":") ? `[${host}]` : host}:${port}`

const refusal = (address: MetricsAddress, { code, errno, message }: NodeJS.ErrnoException): RunError =>
  new RunError({
    message: `--metrics ${textOf(address)}: ${
      code === "EADDRINUSE"
        ? "another program uses this port; end that program, or give another port"
        : code === "EACCES"
        ? "this port needs the rights of the administrator; give a port above 1023"
        : code === "EADDRNOTAVAIL" || code === "ENOTFOUND"
        ? "this machine does not have this address; give one of its own, or only a port"
        : errno === undefined
        ? message
        : getSystemErrorMessage(errno)
    }`
  })
