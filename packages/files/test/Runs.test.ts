import { assert, it } from "@effect/vitest"
import { type EventRow, eventToRow, type RunEvent } from "@sampleline/core"
import { runsOf } from "../src/index.ts"

const START = 1_772_366_400_000_000
const DEVICE = {
  device: "fuel",
  unitId: "A",
  manufacturer: "Alicat",
  model: "MC",
  serialNumber: "1",
  firmware: null,
  calibrationDate: "2025-03-02",
  fields: [{ name: "Mass_Flow", unit: "SLPM", statistic: 5, kind: "float" }]
}
const started = (runId: string, at: number): RunEvent => ({
  _tag: "RunStarted",
  runId,
  at,
  rateHz: 10,
  host: "lab",
  version: "0.1.0",
  metadata: { operator: "Ada" },
  devices: [DEVICE]
})
const marker: RunEvent = { _tag: "Marker", runId: "a", at: START + 1, text: "valve opened" }
const ended: RunEvent = {
  _tag: "RunEnded",
  runId: "a",
  at: START + 5,
  cause: "stopped",
  detail: "SIGINT",
  startedAt: START,
  lastedMicros: 5,
  ticks: 1,
  samples: 1,
  thinned: 0,
  ticksSkipped: 0,
  ticksDropped: 0,
  maxDriftMs: 0,
  failures: {},
  fieldFailures: {},
  outputs: []
}

it("runsOf gives runs with their devices and ends, also those that were killed or go on", () => {
  const killed: EventRow = {
    ...eventToRow({ ...ended, runId: "b" }),
    reason: "unknown",
    detail: null,
    until_at: null,
    duration_s: null,
    count: null,
    data: null
  }
  const rows = [
    ...[started("a", START), marker, ended, started("b", START + 10)].map(eventToRow),
    killed,
    ...[started("c", START + 20), started("c", START + 20), { ...marker, runId: "lost" }].map(eventToRow)
  ]
  const run = {
    endedAt: null,
    cause: null,
    detail: null,
    rateHz: 10,
    host: "lab",
    version: "0.1.0",
    metadata: { operator: "Ada" },
    devices: [DEVICE]
  }
  assert.deepStrictEqual(runsOf(rows), [
    { ...run, id: "a", startedAt: START, endedAt: START + 5, cause: "stopped", detail: "SIGINT" },
    { ...run, id: "b", startedAt: START + 10, cause: "unknown" },
    { ...run, id: "c", startedAt: START + 20 }
  ])
})

it("runsOf takes what a start does not tell as not known", () => {
  const row = { ...eventToRow(started("a", START)), data: { rate_hz: "fast" } }
  assert.deepStrictEqual(runsOf([row]), [{
    id: "a",
    startedAt: START,
    endedAt: null,
    cause: null,
    detail: null,
    rateHz: null,
    host: null,
    version: null,
    metadata: {},
    devices: []
  }])
})
