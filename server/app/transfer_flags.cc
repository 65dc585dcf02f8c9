// The command line of `pulseboardd import` and `pulseboardd export`.
#include <CLI/CLI.hpp>

#include "server/app/moment.h"
#include "server/app/storage_flags.h"
#include "server/app/transfer_command.h"

namespace pulseboard {
namespace {

void AddCommonCsvFlags(CLI::App* command, CsvFlags* flags) {
  command->add_option("--layout", flags->layout, "CSV: one sample per record, or one column per series")
      ->check(CLI::IsMember({"long", "wide"}));
  command->add_option("--separator", flags->separator, "CSV: what stands between fields")
      ->check(CLI::IsMember({",", ";", "tab"}));
}

CLI::App* AddImportCommand(CLI::App* app, ImportCommandOptions* options) {
  CLI::App* command =
      app->add_subcommand("import", "Imports a CSV or OpenMetrics text; exit code 3: some lines refused");
  AddConnectionFlags(command, &options->connection);
  command->add_option("--format", options->format, "Kind of text")
      ->check(CLI::IsMember({"csv", "openmetrics", "prometheus"}))
      ->required();
  CsvFlags& csv = options->csv;
  AddCommonCsvFlags(command, &csv);
  command->add_option("--time", csv.time, "CSV: how times are written; default: RFC 3339 or Unix seconds")
      ->check(CLI::IsMember({"rfc3339", "s", "ms", "us", "ns", "pattern"}));
  command->add_option("--time-pattern", csv.time_pattern, "CSV: with --time pattern, as for strptime")
      ->type_name("TEXT");
  command->add_option("--time-zone", csv.time_zone, "CSV: zone of times without offset")->type_name("IANA-NAME");
  command->add_option("--time-column", csv.time_column, "CSV: header of the time column")->type_name("COLUMN");
  command->add_option("--metric-column", csv.metric_column, "CSV: header of the metric column")->type_name("COLUMN");
  command->add_option("--value-column", csv.value_column, "CSV: header of the value column")->type_name("COLUMN");
  command->add_option("--metric", csv.metric, "CSV: the metric of all records")->type_name("NAME");
  command->add_option("--header", csv.header, "CSV: the header record of a table without one")->type_name("TEXT");
  command->add_option("--series", csv.series, "CSV, wide: the series of a column; may be given again")
      ->type_name("COLUMN=SERIES")
      ->allow_extra_args(false);
  command->add_option("--label", csv.labels, "CSV, long: the label of a column; may be given again")
      ->type_name("COLUMN=LABEL")
      ->allow_extra_args(false);
  command->add_option("--ignore", csv.ignored, "CSV: a column not to read; may be given again")
      ->type_name("COLUMN")
      ->allow_extra_args(false);
  command->add_option("--default-time", options->default_time, "Time of samples without one; default: now")
      ->type_name("TIME");
  command
      ->add_option("--producer", options->producer,
                   "Name of this import, by which it goes on after a break; default: from file and flags")
      ->type_name("ID");
  command
      ->add_option(
          "--ack-mode", options->ack_mode,
          "What counts as committed: fsynced is on the disk, buffered is quicker and survives the server's end, not "
          "a power cut; default: the server's")
      ->check(CLI::IsMember({"fsynced", "buffered"}));
  command->add_option("--receipts", options->receipts, "Where to write the refused lines; default: stderr")
      ->type_name("FILE");
  command->add_option("--max-receipts", options->max_receipts, "Refused lines to describe; all are counted")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_option("file", options->file, "The text; - for standard input")->type_name("FILE")->required();
  return command;
}

CLI::App* AddExportCommand(CLI::App* app, ExportCommandOptions* options) {
  CLI::App* command = app->add_subcommand("export", "Exports series, or answers of queries, as a file");
  AddConnectionFlags(command, &options->connection);
  command->add_option("--format", options->format, "Kind of text")
      ->check(CLI::IsMember({"csv", "openmetrics", "jsonl", "xlsx"}))
      ->required();
  AddCommonCsvFlags(command, &options->csv);
  command->add_option("--time", options->csv.time, "CSV: how times are written; default: rfc3339")
      ->check(CLI::IsMember({"rfc3339", "s", "ms", "us", "ns"}));
  CLI::Option* const selector =
      command->add_option("--selector", options->selector, "Which series, e.g. 'system.cpu.usage{host=\"a\"}'")
          ->type_name("TEXT");
  CLI::Option* const expression =
      command->add_option("--expression", options->expression, "Instead of --selector: exports what it evaluates to")
          ->type_name("TEXT")
          ->excludes(selector);
  command
      ->add_option("--step", options->step,
                   "Columns of time of this length, or instants so far apart; default: samples")
      ->type_name("DURATION");
  command
      ->add_option(
          "--aggregate", options->aggregates,
          "Of each column: avg, sum, min, max, count, first, last, increase, rate or p0 to p100; may be given again")
      ->type_name("NAME")
      ->excludes(expression)
      ->allow_extra_args(false);
  command->add_option("--time-zone", options->time_zone, "XLSX: zone of its times; default: UTC")
      ->type_name("IANA-NAME");
  command->add_option("--from", options->from, "Start: " + std::string(kMomentSpellings))
      ->type_name("TIME")
      ->required();
  command->add_option("--to", options->to, "First instant after the range, likewise; default: now")->type_name("TIME");
  command->add_option("-o,--output", options->output, "Where to write; default: standard output")->type_name("FILE");
  return command;
}

}  // namespace

void AddTransferCommands(CLI::App* app, TransferCommandOptions* options) {
  AddImportCommand(app, &options->import_options)->callback([options] { options->importing = true; });
  AddExportCommand(app, &options->export_options);
}

bool TransferCommandGiven(const CLI::App& app) { return app.got_subcommand("import") || app.got_subcommand("export"); }

int RunTransferCommand(const TransferCommandOptions& options) {
  return options.importing ? RunImportCommand(options.import_options) : RunExportCommand(options.export_options);
}

}  // namespace pulseboard
