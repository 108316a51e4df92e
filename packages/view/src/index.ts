/**
 * A recording, seen while it goes on: ticks -> `LiveTable` (what is known of each device) -> `renderTable` (lines of text) ->
 * `frameOf` (what a terminal must be sent).
 */
export * as AlarmCommand from "./AlarmCommand.ts"
export * as AlarmExpression from "./AlarmExpression.ts"
export * as Alarms from "./Alarms.ts"
export * as LiveTable from "./LiveTable.ts"
export { devicesShown, renderTable } from "./renderTable.ts"
export { enterScreen, frameOf, leaveScreen } from "./Screen.ts"
export { deviceText } from "./TableDevices.ts"
export { clockText } from "./TableText.ts"
export type { AlarmView, JournalView, LogLine, OutputView, TableOptions, TableView } from "./TableView.ts"
export { widthOf } from "./TextWidth.ts"
