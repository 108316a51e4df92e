import xterm from "@xterm/headless"
import { Effect } from "effect"
import type { DeviceView } from "../src/LiveTable.ts"
import type { TableView } from "../src/TableView.ts"

export const device = (name: string, changes: Partial<DeviceView> = {}): DeviceView => ({
  name,
  identity: null,
  state: "ok",
  error: null,
  sinceSeconds: null,
  lastAt: 0,
  ageSeconds: 0.1,
  status: [],
  fields: [
    { name: "Mass_Flow", unit: "SCCM", value: 12.5, decimals: 2 },
    { name: "Flow_Temp", unit: "°C", value: 22, decimals: 1 },
    { name: "Gas", unit: null, value: "N2", decimals: 0 }
  ],
  trendField: "Mass_Flow",
  trend: [1, 2, null, 3],
  ...changes
})

export const view = (changes: Partial<TableView> = {}): TableView => ({
  devices: [device("fuel"), device("air")],
  elapsedSeconds: 61.5,
  durationSeconds: null,
  rateHz: 10,
  rateReached: 9.98,
  samples: 1234,
  lateTicks: 0,
  failures: 0,
  ...changes
})

/** A terminal that is only looked at. */
export const emulator = (columns: number, rows: number) => {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true })
  return {
    terminal,
    write: (text: string) => Effect.callback<void>((resume) => terminal.write(text, () => resume(Effect.void))),
    /** What stands on the screen. */
    lines: () =>
      Array.from(
        { length: terminal.rows },
        (_, row) => terminal.buffer.active.getLine(terminal.buffer.active.baseY + row)?.translateToString(true) ?? ""
      )
  }
}
