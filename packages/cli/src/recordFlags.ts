/**
 * The flags of `sampleline record`. None has a default here, so that a settings file can give what the command line does not.
 */
import { parseDuration } from "@sampleline/core"
import { Flag } from "effect/cli"
import { DEVICE_FORM } from "./deviceFlag.ts"
import { parseSize, SIZE_FORM } from "./sizes.ts"
import { COLLECTOR_FORM, METRICS_FORM, parseCollector, parseMetricsAddress } from "./telemetry.ts"
import { parseViewPort, VIEW_FORM } from "./viewAddress.ts"

const durationFlag = (name: string) =>
  Flag.String(name).pipe(
    Flag.filterMap(parseDuration, () => "a duration above 0, such as 10ms, 60s, 5min or 2h"),
    Flag.withMetavar("TIME")
  )

const countFlag = (name: string) =>
  Flag.Int(name).pipe(
    Flag.filter((value) => value > 0, () => "a whole number above 0"),
    Flag.withMetavar("N")
  )

const switchFlag = (name: string, description: string) =>
  Flag.optional(Flag.withDescription(Flag.Boolean(name), description))

export const recordFlags = {
  config: Flag.String("config").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("YAML or JSON file with any of these settings; flags override it"),
    Flag.optional
  ),
  device: Flag.String("device").pipe(
    Flag.withMetavar(DEVICE_FORM),
    Flag.withDescription("Device to record, under a name of your choice; repeat for more devices"),
    Flag.atLeast(0)
  ),
  simulate: countFlag("simulate").pipe(
    Flag.withDescription("Record N simulated devices instead of real ones"),
    Flag.optional
  ),
  out: Flag.String("out").pipe(
    Flag.withMetavar("TARGET"),
    Flag.withDescription(
      "Where samples go: NAME.csv, NAME.jsonl, NAME.parquet, NAME.db (SQLite), postgres://USER@HOST/DATABASE (what is "
        + "left out is found as psql finds it: PGHOST, PGPASSWORD, ~/.pgpass), or - for JSON lines on stdout; repeat for more outputs"
    ),
    Flag.atLeast(0)
  ),
  rate: Flag.Finite("rate").pipe(
    Flag.filter((rate) => rate > 0, () => "a number of ticks per second above 0"),
    Flag.withMetavar("HZ"),
    Flag.withDescription(
      "Ticks per second, such as 20 or 0.5 (default: 10). With --stream: readings per second of each device (default: the "
        + "device's own setting)"
    ),
    Flag.optional
  ),
  duration: durationFlag("duration").pipe(
    Flag.withDescription(
      "How long to record, such as 500ms, 60s, 1h30min or 2d; rounded to whole ticks (default: until Ctrl-C)"
    ),
    Flag.optional
  ),
  meta: Flag.String("meta").pipe(
    Flag.withMetavar("KEY=TEXT"),
    Flag.withDescription("What to keep with the run, such as operator=Ada or sample=B-17; repeat for more"),
    Flag.atLeast(0)
  ),
  note: Flag.String("note").pipe(
    Flag.withMetavar("TEXT"),
    Flag.withDescription("A note to keep with the run; the same as --meta notes=TEXT"),
    Flag.optional
  ),
  table: Flag.String("table").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("Table in a database (default: samples)"),
    Flag.optional
  ),
  "create-table": switchFlag(
    "create-table",
    "Create the table in Postgres if it is missing; SQLite always creates it"
  ),
  "row-ids": switchFlag(
    "row-ids",
    "Add the columns run_id, sequence and tick to every row"
  ),
  identity: Flag.withHidden(switchFlag("identity", "The old name of --row-ids")),
  "batch-size": countFlag("batch-size").pipe(
    Flag.withDescription("Write after this many samples (default: 64)"),
    Flag.optional
  ),
  "flush-interval": durationFlag("flush-interval").pipe(
    Flag.withDescription(
      "Write a smaller batch when its first sample is this old, such as 200ms (default: 1s)"
    ),
    Flag.optional
  ),
  overflow: Flag.Literals("overflow", ["block", "drop-newest", "drop-oldest"]).pipe(
    Flag.withMetavar("POLICY"),
    Flag.withDescription(
      "If outputs are too slow: block skips ticks until they catch up, the others discard polled ticks (default: block)"
    ),
    Flag.optional
  ),
  precise: switchFlag(
    "precise",
    "Start each tick within microseconds of its time; costs CPU time"
  ),
  stream: switchFlag(
    "stream",
    "Let devices send readings by themselves instead of polling them; one device per port"
  ),
  "allow-missing": switchFlag(
    "allow-missing",
    "Start without missing devices, and without outputs that cannot be reached yet, such as a database server that is down. Each is "
      + "recorded, or gets its samples, once it appears. With --no-journal outputs must be there"
  ),
  overwrite: switchFlag(
    "overwrite",
    "Replace existing files; a Postgres table is always appended to"
  ),
  append: switchFlag(
    "append",
    "Append to existing files; beside a Parquet file a new one is made"
  ),
  journal: Flag.String("journal").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription(
      "Folder that keeps what outputs lack; it goes when they have everything (default: run.csv.journal for --out run.csv)"
    ),
    Flag.optional
  ),
  "no-journal": switchFlag(
    "no-journal",
    "Keep no journal: an output that fails is lost for the rest of the run, and a slow one holds up the others. `sampleline status`, "
      + "mark and stop cannot reach the recording"
  ),
  "journal-max": Flag.String("journal-max").pipe(
    Flag.filterMap(parseSize, () => SIZE_FORM),
    Flag.withMetavar("SIZE"),
    Flag.withDescription("How large the journal may grow while an output is behind, such as 500MB (default: 10GiB)"),
    Flag.optional
  ),
  "journal-full": Flag.Literals("journal-full", ["stop", "drop-oldest"]).pipe(
    Flag.withMetavar("POLICY"),
    Flag.withDescription(
      "At that size: stop ends the recording with everything kept, drop-oldest gives up the oldest samples (default: stop)"
    ),
    Flag.optional
  ),
  "disk-wait": durationFlag("disk-wait").pipe(
    Flag.withDescription("How long to wait for room on a full disk before the recording ends (default: 60s)"),
    Flag.optional
  ),
  fsync: Flag.Literals("fsync", ["never", "interval", "always"]).pipe(
    Flag.withMetavar("WHEN"),
    Flag.withDescription(
      "Force samples to disk, so that they survive a power cut: interval does it every second (default), always with each "
        + "tick, never leaves it to the operating system, so a power cut may cost half a minute. A kill -9 costs nothing with any of "
        + "them. Without a journal it acts on the files, always with each batch, and never is the default"
    ),
    Flag.optional
  ),
  alarm: Flag.String("alarm").pipe(
    Flag.withMetavar("CONDITION"),
    Flag.withDescription(
      "Warn when this holds, such as 'fuel.Mass_Flow < 90 SCCM for 5s', '*.Pressure > 30 clear 28', 'fuel.status has MOV', "
        + "'* is silent for 10s', 'disk < 1GB' or 'output is behind 1min'; repeat for more. An alarm is logged and is an event of the run"
    ),
    Flag.atLeast(0)
  ),
  "on-alarm": Flag.String("on-alarm").pipe(
    Flag.withMetavar("COMMAND"),
    Flag.withDescription(
      "Program to run when an alarm is raised or cleared, such as 'notify-send sampleline'. No shell: the values are in its "
        + "environment, as SAMPLELINE_MESSAGE, SAMPLELINE_STATE and others. It has ten seconds"
    ),
    Flag.optional
  ),
  view: Flag.String("view").pipe(
    Flag.filterMap(parseViewPort, () => VIEW_FORM),
    Flag.withMetavar("[PORT]"),
    Flag.withDescription(
      "Show the recording in a browser, with plots of every field, at http://127.0.0.1:PORT (default: 7373, or one that is free)"
    ),
    Flag.optional
  ),
  "view-host": Flag.String("view-host").pipe(
    Flag.withMetavar("HOST"),
    Flag.withDescription(
      "Name or address of this machine at which others can open the page too, such as 192.168.0.7, or 0.0.0.0 for all; they need the "
        + "token that is printed (default: this machine only)"
    ),
    Flag.optional
  ),
  metrics: Flag.String("metrics").pipe(
    Flag.filterMap(parseMetricsAddress, () => METRICS_FORM),
    Flag.withMetavar("[HOST:]PORT"),
    Flag.withDescription(
      "Serve metrics to Prometheus at http://HOST:PORT/metrics, such as 9464 (host: 127.0.0.1, this machine only)"
    ),
    Flag.optional
  ),
  otlp: Flag.String("otlp").pipe(
    Flag.filterMap(parseCollector, () => COLLECTOR_FORM),
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "Send metrics, log and spans to an OpenTelemetry collector, such as http://127.0.0.1:4318; headers are taken from "
        + "OTEL_EXPORTER_OTLP_HEADERS"
    ),
    Flag.optional
  ),
  plain: switchFlag(
    "plain",
    "Show a status line instead of the live table"
  ),
  json: switchFlag(
    "json",
    "Print the summary as one JSON object"
  ),
  quiet: switchFlag(
    "quiet",
    "Print only warnings and errors on stderr"
  )
}

/** What the command line says; none where it says nothing. */
export type RecordFlags = {
  readonly [name in keyof typeof recordFlags]: (typeof recordFlags)[name] extends Flag.Flag<infer Value> ? Value : never
}
