/**
 * The view `<table>_with_run`: each row with the run that it is from. Pure.
 *
 * The row's `run_id` names its run. In a table without one it is the run that was under way with this device when the sample was
 * requested. Where two runs match, nobody knows: then the view says null.
 */
import { quoted } from "./identifiers.ts"
import { descriptionOf, runsOf } from "./RunTables.ts"

export const viewOf = (table: string): string => `${table}_with_run`

/** How SQLite and Postgres differ. */
export interface ViewDialect {
  /** A table expression: `d.value` is each element of a JSON array. */
  readonly elements: (array: string) => string
  /** A JSON object without one of its keys. */
  readonly without: (object: string, key: string) => string
  /** The function that gathers keys and values as a JSON object. */
  readonly gather: string
}

/** What tells the run of a row, as expressions of the row `s`. */
export type RunOfRow =
  | { readonly device: string; readonly runId: string }
  /** `requestedAt` compares with the times of the runs. */
  | { readonly device: string; readonly requestedAt: string }

/** Why there is no view. */
export const noView = (table: string, why: string): string => `there is no view ${viewOf(table)}: ${why}`

export const NAME_TAKEN = "another program's table or view has its name"
export const RUN_UNKNOWN =
  "the table has no columns that tell the run of a row: device and run_id, or device and requested_at"

/** The query of the view. `nameOf` gives the name of a table in a statement. */
export const rowsWithRun = (
  table: string,
  row: RunOfRow,
  { elements, gather, without }: ViewDialect,
  nameOf: (table: string) => string = quoted
): string => {
  const runs = nameOf(runsOf(table))
  const isDevice = `d.value ->> 'device' = ${row.device}`
  const runId = "runId" in row ? row.runId : `(
    SELECT CASE WHEN count(*) = 1 THEN min(m.run_id) END FROM ${runs} AS m
    WHERE m.started_at <= ${row.requestedAt} AND (m.finished_at IS NULL OR m.finished_at >= ${row.requestedAt})
      AND EXISTS (SELECT 1 FROM ${elements("m.devices")} WHERE ${isDevice}))`
  return `SELECT s.*,${"runId" in row ? "" : " r.run_id AS run_id,"}
  r.started_at AS run_started_at, r.finished_at AS run_finished_at, r.ended_by AS run_ended_by, r.metadata AS run_metadata,
  (SELECT ${without("d.value", "fields")} FROM ${elements("r.devices")} WHERE ${isDevice}) AS run_device,
  (SELECT ${gather}(c.column_name, c.unit) FROM ${nameOf(descriptionOf(table))} AS c
    WHERE c.run_id = r.run_id AND c.device = ${row.device}) AS run_units
FROM ${nameOf(table)} AS s LEFT JOIN ${runs} AS r ON r.run_id = ${runId}`
}
