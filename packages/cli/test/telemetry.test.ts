/**
 * A recording that is watched from outside: by a scraper of Prometheus' text format, and by a collector that decodes OTLP.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { pipeToSink, PollSource, Recorder } from "@sampleline/core"
import { CsvSink } from "@sampleline/sinks/CsvSink"
import { Duration, Effect, Layer, Logger, Option, Queue } from "effect"
import { HttpRouter } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import parsePrometheus from "parse-prometheus-text-format"
import { parseCollector, parseMetricsAddress } from "../src/telemetry.ts"
import { sampleline, startSampleline, tempFolder } from "./process.ts"

describe("--metrics", () => {
  it.each([
    ["9464", "127.0.0.1", 9464],
    ["0", "127.0.0.1", 0],
    ["0.0.0.0:9464", "0.0.0.0", 9464],
    ["rig-3.lab:80", "rig-3.lab", 80],
    ["[::1]:9464", "::1", 9464]
  ])("%s is an address", (text, host, port) => {
    assert.deepStrictEqual(parseMetricsAddress(text), Option.some({ host, port }))
  })

  it.each(["", "65536", "-1", "x", "9464x", ":9464", "host:", "::1:9464", "http://a:9464", "u@h:1", "1.5"])(
    "%j is no address",
    (text) => assert.isTrue(Option.isNone(parseMetricsAddress(text)))
  )
})

describe("--otlp", () => {
  it.each([
    ["http://127.0.0.1:4318", "http://127.0.0.1:4318"],
    ["http://127.0.0.1:4318/", "http://127.0.0.1:4318"],
    ["https://collector.lab/otlp", "https://collector.lab/otlp"]
  ])("%s is a collector", (text, url) => assert.deepStrictEqual(parseCollector(text), Option.some(url)))

  it.each(["", "127.0.0.1:4318", "grpc://h:4317", "http://u:pw@h", "http://u@h", "http://h?key=s", "http://h#a"])(
    "%j is no collector",
    (text) => assert.isTrue(Option.isNone(parseCollector(text)))
  )
})

/** A server of the test, on a port of its own. */
const serve = Effect.fnUntraced(function*(handler: http.RequestListener) {
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => http.createServer(handler).listen(0, "127.0.0.1")),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  yield* Effect.promise(() => once(server, "listening"))
  return (server.address() as AddressInfo).port
})

interface Received {
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  /** The decoded JSON. */
  readonly body: any
}

/** A collector that answers with this status, or never. */
const collector = Effect.fnUntraced(function*(status: number | "never") {
  const received = yield* Queue.unbounded<Received>()
  const port = yield* serve((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
      Queue.offerUnsafe(received, { path: request.url ?? "", headers: request.headers, body })
      if (status !== "never") response.writeHead(status, { "content-type": "application/json" }).end("{}")
    })
  })
  return { url: `http://127.0.0.1:${port}`, received: Queue.takeAll(received) }
})

const attributesOf = (attributes: ReadonlyArray<{ key: string; value: Record<string, unknown> }>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

const ENV = { ...process.env, OTEL_METRIC_EXPORT_INTERVAL: "100" }

const warnings = (stderr: string) => stderr.split("\n").filter((line) => line.includes(" WARN "))

const rowsIn = (cwd: string): number => fs.readFileSync(`${cwd}/run.csv`, "utf8").trimEnd().split("\n").length - 1

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true, timeout: "60 seconds" })(
  "a recording that is watched",
  (it) => {
    it.effect("serves metrics in Prometheus' format, on this machine only", () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const args = "record --simulate 2 --rate 20 --flush-interval 100ms --metrics 0 --row-ids --out run.csv --out -"
        const running = yield* startSampleline(args.split(" "), { cwd })
        // A later batch is printed after the first was counted.
        yield* running.printed("\"sequence\":20,")
        const url = /metrics are at (http:\/\/127\.0\.0\.1:\d+\/metrics)\n/.exec(running.stderr())?.[1]
          ?? assert.fail(running.stderr())
        const response = yield* Effect.promise(() => fetch(url))
        assert.strictEqual(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
        const families = parsePrometheus(yield* Effect.promise(() => response.text()))
        const family = (name: string) =>
          families.find((family) => family.name === name) ?? assert.fail(`there is no ${name}`)
        assert.deepStrictEqual(family("sampleline_device_up"), {
          name: "sampleline_device_up",
          help: "1 if the last poll of a device gave a reading, 0 if it failed",
          type: "GAUGE",
          metrics: [{ labels: { device: "sim1" }, value: "1" }, { labels: { device: "sim2" }, value: "1" }]
        })
        const values = family("sampleline_device_value").metrics
        assert.deepInclude(values.map(({ labels }) => labels), { device: "sim2", field: "Mass_Flow", units: "SCCM" })
        assert.strictEqual(values.length, 10)
        assert.isTrue(values.every(({ value }) => Number.isFinite(Number(value))))
        const written = family("sampleline_samples_written").metrics
        assert.sameMembers(written.map(({ labels }) => labels?.["sink"]), ["CsvSink", "JsonlSink"])
        assert.isTrue(written.every(({ value }) => Number(value) > 0))
        assert.strictEqual(family("sampleline_write_duration_ms").type, "HISTOGRAM")

        const other = yield* Effect.promise(() => fetch(url.replace("/metrics", "/")))
        assert.strictEqual(other.status, 404)
        const elsewhere = yield* Effect.exit(Effect.tryPromise(() => fetch(url.replace("127.0.0.1", "127.0.0.2"))))
        assert.isTrue(elsewhere._tag === "Failure")
        running.process.kill("SIGINT")
        assert.strictEqual(yield* running.exit, 0)
      }))

    it.effect("is refused if the port is taken, before any file is made", () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const port = yield* serve(() => {})
        const line = `sampleline: --metrics 127.0.0.1:${port}: another program uses this port; end that program, `
          + "or give another port\n"
        const refused = yield* sampleline(`record --simulate 1 --out run.csv --metrics ${port}`.split(" "), { cwd })
        assert.deepStrictEqual(refused, { code: 1, stdout: "", stderr: line })
        fs.writeFileSync(`${cwd}/bench.yaml`, `simulate: 1\nout: run.csv\nmetrics: ${port}\n`)
        const byFile = yield* sampleline(["record", "--config", "bench.yaml"], { cwd })
        assert.deepStrictEqual(byFile, { code: 1, stdout: "", stderr: line })
        const checked = yield* sampleline(["check", "--quiet", "--config", "bench.yaml"], { cwd })
        assert.strictEqual(checked.code, 1)
        assert.strictEqual(checked.stderr, line)
        assert.deepStrictEqual(fs.readdirSync(cwd), ["bench.yaml"])
      }))

    it.effect("is refused in a program too, before a device is polled or a file is made", () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const port = yield* serve(() => {})
        const Prometheus = HttpRouter.serve(PrometheusMetrics.layerHttp(), { disableLogger: true }).pipe(
          Layer.provide(NodeHttpServer.layer(http.createServer, { host: "127.0.0.1", port }))
        )
        let polls = 0
        const Oven = PollSource.layer({ devices: ["oven"], poll: () => Effect.sync(() => ({ Polls: ++polls })) })
        const lines: Array<unknown> = []
        const error = yield* Recorder.record({ rateHz: 10, duration: "1 second" }).pipe(
          pipeToSink(),
          Effect.provide(
            Layer.mergeAll(CsvSink.layer({ path: `${cwd}/run.csv` }), Oven).pipe(
              Layer.provide(Prometheus),
              Layer.provide(Logger.layer([Logger.make(({ message }) => lines.push(message))]))
            )
          ),
          Effect.flip
        )
        assert.strictEqual(error._tag, "ServeError")
        assert.strictEqual(polls, 0)
        assert.deepStrictEqual(lines, [])
        assert.deepStrictEqual(fs.readdirSync(cwd), [])
      }))

    it.effect("sends metrics, log and spans to a collector, with the headers of the environment", () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const { received, url } = yield* collector(200)
        fs.writeFileSync(`${cwd}/bench.yaml`, `simulate: 1\nout: run.csv\nduration: 1s\notlp: ${url}\n`)
        const { code, stderr } = yield* sampleline(["record", "--config", "bench.yaml"], {
          cwd,
          env: {
            ...ENV,
            OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20s3cret, x-rig=3",
            OTEL_SERVICE_NAME: "rig-3"
          }
        })
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(warnings(stderr), [])
        assert.notInclude(stderr, "s3cret")
        const requests = yield* received
        assert.isTrue(
          requests.every(({ headers }) => headers.authorization === "Bearer s3cret" && headers["x-rig"] === "3")
        )
        const of = (path: string) => requests.filter((request) => request.path === path).map(({ body }) => body)
        const resource = attributesOf(of("/v1/logs")[0].resourceLogs[0].resource.attributes)
        assert.strictEqual(resource["service.name"], "rig-3")

        const records = of("/v1/logs").flatMap((body) => body.resourceLogs[0].scopeLogs[0].logRecords)
        const annotationsOf = (part: string) =>
          attributesOf(records.find(({ body }) => body.stringValue.includes(part)).attributes)
        const { device, port } = annotationsOf("sim1 is unit A")
        assert.strictEqual(device, "sim1")
        assert.match(String(port), /^\/dev\//)
        assert.deepInclude(annotationsOf("CsvSink opened"), { sink: "CsvSink", target: "run.csv" })
        assert.deepInclude(annotationsOf("CsvSink closed"), { sink: "CsvSink", target: "run.csv" })

        const metrics = of("/v1/metrics").flatMap((body) => body.resourceMetrics[0].scopeMetrics[0].metrics)
        const value = metrics.find(({ name }) => name === "sampleline_device_value") ?? assert.fail("no gauge was sent")
        assert.deepInclude(
          value.gauge.dataPoints.map(({ attributes }: any) => attributesOf(attributes)),
          { device: "sim1", field: "Mass_Flow", units: "SCCM" }
        )
        const written = metrics.findLast(({ name }) => name === "sampleline_samples_written")
        // A busy machine skips slots.
        const rows = rowsIn(cwd)
        assert.strictEqual(written.sum.dataPoints[0].asDouble, rows)

        const spans = of("/v1/traces").flatMap((body) => body.resourceSpans[0].scopeSpans[0].spans)
        assert.strictEqual(spans.filter(({ name }) => name === "sampleline.poll").length, rows)
        // The log on stderr does not repeat what its messages say.
        assert.match(stderr, /INFO CsvSink opened run\.csv\n/)
      }))

    const lost = "telemetry is lost, and the recording goes on. Check the collector"

    it.effect("goes on without a collector that is down, and tells of it once", () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        // A port of our own where nobody listens any more.
        const port = yield* Effect.scoped(serve(() => {}))
        const args = `record --simulate 1 --duration 1s --out run.csv --otlp http://127.0.0.1:${port}`
        const { code, stderr } = yield* sampleline(args.split(" "), { cwd, env: ENV })
        assert.strictEqual(code, 0, stderr)
        const [warning = "", ...more] = warnings(stderr)
        assert.include(warning, "the collector cannot be reached (ECONNREFUSED)")
        assert.include(warning, lost)
        assert.deepStrictEqual(more, [])
        assert.isAbove(rowsIn(cwd), 0)
      }))

    it.effect("tells once of a collector that refuses, and prints no header", () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const { url } = yield* collector(401)
        const args = `record --simulate 1 --duration 1s --out run.csv --log-level debug --otlp ${url}`
        const env = { ...ENV, OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20s3cret" }
        const { code, stderr } = yield* sampleline(args.split(" "), { cwd, env })
        assert.strictEqual(code, 0, stderr)
        const [warning = "", ...more] = warnings(stderr)
        assert.include(warning, `the collector answered with status 401; ${lost}`)
        assert.deepStrictEqual(more, [])
        assert.notInclude(stderr, "s3cret")
      }))

    it.effect("does not wait for a collector that never answers", () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const { url } = yield* collector("never")
        const args = `record --simulate 1 --duration 1s --out run.csv --otlp ${url}`
        const running = yield* startSampleline(args.split(" "), { cwd, env: ENV })
        yield* running.printed("ended: the duration is over")
        const [took, code] = yield* Effect.timed(running.exit)
        assert.strictEqual(code, 0)
        assert.isBelow(Duration.toMillis(took), 3000)
        assert.match(running.stdout(), /recorded \d+ samples in \d+ ticks/)
        const [warning = "", ...more] = warnings(running.stderr())
        assert.include(warning, `the collector had not answered when the run ended; ${lost}`)
        assert.deepStrictEqual(more, [])
      }))

    it.effect.each(
      [
        ["OTEL_EXPORTER_OTLP_HEADERS", "s3cret"],
        ["OTEL_EXPORTER_OTLP_HEADERS", "a b=s3cret"],
        ["OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%0A"],
        ["OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%"],
        ["OTEL_METRIC_EXPORT_INTERVAL", "s3cret"]
      ] as const
    )("refuses %s=%s without quoting it", ([name, value]) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const args = "record --simulate 1 --duration 1s --out run.csv --otlp http://127.0.0.1:1"
        const { code, stderr } = yield* sampleline(args.split(" "), { cwd, env: { ...process.env, [name]: value } })
        assert.strictEqual(code, 2)
        assert.isTrue(stderr.startsWith(`sampleline: ${name}: expected `), stderr)
        assert.notInclude(stderr, "s3cret")
        assert.deepStrictEqual(fs.readdirSync(cwd), [])
      }))
  }
)
