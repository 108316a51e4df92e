/**
 * A recording, seen while it goes on: ticks -> `LiveTable` (what is known of each device) -> `renderTable` (lines of text) ->
 * `frameOf` (what a terminal must be sent).
 */
export * as LiveTable from "./LiveTable.ts"
export {
  clockText,
  devicesShown,
  deviceText,
  type JournalView,
  type LogLine,
  type OutputView,
  renderTable,
  type TableOptions,
  type TableView
} from "./renderTable.ts"
export { enterScreen, frameOf, leaveScreen } from "./Screen.ts"
export { widthOf } from "./TextWidth.ts"
