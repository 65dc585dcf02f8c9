// `pulseboardd import` and `pulseboardd export`: text into and out of a server, over the API like everybody else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/app/api_connection.h"

namespace CLI {
class App;
}

namespace pulseboard {

struct CsvFlags {
  std::string layout;     // long or wide
  std::string separator;  // `,`, `;` or tab
  std::string time;       // rfc3339, s, ms, us, ns or pattern
  std::string time_pattern;
  std::string time_zone;
  std::string time_column;
  std::string metric_column;
  std::string value_column;
  std::string metric;
  std::string header;
  std::vector<std::string> series;  // COLUMN=SERIES
  std::vector<std::string> labels;  // COLUMN=LABEL
  std::vector<std::string> ignored;
};

struct ImportCommandOptions {
  ConnectionFlags connection;
  std::string format;  // csv, openmetrics or prometheus
  CsvFlags csv;
  std::string producer;      // empty: made from the file's path, size and time and from the flags
  std::string default_time;  // of samples without one
  std::string ack_mode;      // fsynced or buffered; empty: the server's default
  std::string receipts;      // file for the refused lines; empty: stderr
  int64_t max_receipts = 1'000;
  std::string file;  // - : standard input
};

struct ExportCommandOptions {
  ConnectionFlags connection;
  std::string format;  // csv, openmetrics, jsonl or xlsx
  CsvFlags csv;
  std::string selector;
  std::string expression;               // instead of a selector: its answer
  std::string step;                     // of columns of time, or between two instants of the expression
  std::vector<std::string> aggregates;  // avg, sum … or p99; with a selector and a step
  std::string time_zone;                // of XLSX
  std::string from;                     // see moment.h
  std::string to;                       // the same; empty: now
  std::string output;                   // empty: standard output
};

inline constexpr int kExitSomeRefused = 3;

// Returns the exit code: 0 all accepted, 3 some lines refused, 1 failed. Progress and errors go to stderr. Started
// again after a break or a crash it goes on where it was.
int RunImportCommand(const ImportCommandOptions& options);
// Returns the exit code. An output file is there whole or not at all.
int RunExportCommand(const ExportCommandOptions& options);

struct TransferCommandOptions {
  bool importing = false;  // else exporting
  ImportCommandOptions import_options;
  ExportCommandOptions export_options;
};

// Adds the subcommands; parsing fills `options`, which must live as long as `app`.
void AddTransferCommands(CLI::App* app, TransferCommandOptions* options);
// Whether one of them was given.
bool TransferCommandGiven(const CLI::App& app);
int RunTransferCommand(const TransferCommandOptions& options);

}  // namespace pulseboard
