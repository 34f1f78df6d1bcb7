// `paddock reserve`, `unreserve` and `reservations`: nodes set aside for tenants for a time.
#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <chrono>
#include <memory>

#include "base/ids.h"
#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "jobs/spec/moment.h"
#include "jobs/spec/units.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string name;
  std::uint32_t nodes = 0;
  std::vector<std::string> labels;
  std::vector<std::string> tenants;
  std::string start = "now";
  std::string duration;
};

WallTime now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return WallTime{std::chrono::duration_cast<Millis>(since).count()};
}

std::string joined(const Json& texts_given) {
  std::string text;
  for (const Json& each : texts_given) text += (text.empty() ? "" : ", ") + each.get<std::string>();
  return text;
}

Json to_json(wire::Reservation::Reader reservation) {
  return {{"reservation", to_text(reservation.getName())}, {"tenants", texts(reservation.getTenants())},
          {"nodes", texts(reservation.getNodes())},        {"begins_unix_ms", reservation.getBeginsUnixMs()},
          {"ends_unix_ms", reservation.getEndsUnixMs()},   {"begun", reservation.getBegun()},
          {"to_clear", texts(reservation.getToClear())}};
}

std::string span_of(const Json& reservation) {
  return show_moment(reservation["begins_unix_ms"].get<std::int64_t>()) + " to " +
         show_moment(reservation["ends_unix_ms"].get<std::int64_t>());
}

Result<int> list(const Options& options, bool is_json) {
  const auto answer = ask(options.target, wire::Message::RESERVATIONS,
                          [](wire::Message::Builder message) { message.setReservationsRequest(); });
  if (!answer) return tl::unexpected<Error>(answer.error());
  Json all = Json::array();
  std::vector<Row> rows;
  for (const auto reservation : answer->message().getReservations()) {
    all.push_back(to_json(reservation));
    const Json& json = all.back();
    rows.push_back({text_of(json, "reservation"), json["begun"] == true ? "now" : "later",
                    show_moment(reservation.getBeginsUnixMs()), show_moment(reservation.getEndsUnixMs()),
                    joined(json["tenants"]), joined(json["nodes"])});
  }
  if (is_json)
    print_json({{"reservations", std::move(all)}});
  else if (rows.empty())
    print_text("nothing is reserved\n");
  else
    print_text(table({"RESERVATION", "WHEN", "BEGINS", "ENDS", "TENANTS", "NODES"}, rows));
  return kDone;
}

void fill(wire::Reserve::Builder request, const Options& options) {
  request.setName(options.name);
  request.setNodes(options.nodes);
  auto tenants = request.initTenants(static_cast<unsigned>(options.tenants.size()));
  for (unsigned i = 0; i < tenants.size(); ++i) tenants.set(i, options.tenants[i]);
  auto labels = request.initLabels(static_cast<unsigned>(options.labels.size()));
  for (unsigned i = 0; i < labels.size(); ++i) {
    const std::string& label = options.labels[i];
    labels[i].setName(label.substr(0, label.find('=')));
    labels[i].setValue(label.substr(label.find('=') + 1));
  }
  const auto start = spec::parse_moment(options.start, now());
  request.setBeginsUnixMs(options.start == "now" ? 0 : start.value_or(WallTime()).unix_ms);
  request.setDurationMs(
      static_cast<std::uint64_t>(spec::parse_duration(options.duration).value_or(Millis(0)).count()));
}

Result<int> reserve(const Options& options, bool is_json) {
  if (options.nodes == 0 && options.labels.empty())
    return fail(Code::kInvalid, "which nodes? --nodes N, or --select NAME=VALUE for all that have the label");
  const auto answer = ask(options.target, wire::Message::RESERVATIONS,
                          [&](wire::Message::Builder message) { fill(message.initReserve(), options); });
  if (!answer) return tl::unexpected<Error>(answer.error());
  const Json made = to_json(answer->message().getReservations()[0]);
  if (is_json) {
    print_json(made);
    return kDone;
  }
  std::string text =
      "reserved " + joined(made["nodes"]) + " for " + joined(made["tenants"]) + ", " + span_of(made) + "\n";
  if (!made["to_clear"].empty())
    text += "what runs on " + joined(made["to_clear"]) +
            " may not have ended by then: it is asked to save itself and go when the reservation begins\n";
  print_text(text);
  return kDone;
}

Result<int> unreserve(const Options& options, bool is_json) {
  const auto answer = ask(options.target, wire::Message::DONE,
                          [&](wire::Message::Builder message) { message.setUnreserve(options.name); });
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (is_json)
    print_json({{"reservation", options.name}});
  else
    print_text("reservation " + options.name + " is removed\n");
  return kDone;
}

CLI::Validator form(const char* what, const char* name, std::function<bool(const std::string&)> is_right) {
  return CLI::Validator(
      [what, is_right = std::move(is_right)](std::string& text) {
        return is_right(text) ? std::string() : text + " is not " + what;
      },
      name);
}

void add_reserve(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "reserve", "sets machines aside for tenants: nothing of others starts there that might run into it");
  command->add_option("NAME", options->name, "of the reservation")->required();
  command->add_option("--nodes", options->nodes, "so many; without it all that have the labels")
      ->check(CLI::Range(1, 1'000'000));
  command
      ->add_option("--select", options->labels,
                   "a label that they must have, like rack=r1; may be given again")
      ->allow_extra_args(false)
      ->check(form("a label like rack=r1", "NAME=VALUE", [](const std::string& text) {
        return text.find('=') != std::string::npos && is_name(text.substr(0, text.find('=')));
      }));
  command->add_option("--tenant", options->tenants, "whose jobs may run there; may be given again")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->required();
  command
      ->add_option("--start", options->start,
                   "now, +2h, or 2026-12-01T08:00 (local time, or with Z or +01:00)")
      ->check(form("a moment like now, +2h or 2026-12-01T08:00", "MOMENT",
                   [](const std::string& text) { return spec::parse_moment(text, now()).has_value(); }))
      ->capture_default_str();
  command->add_option("--for", options->duration, "how long, like 2h")
      ->check(form("a duration like 30s, 5m or 2h", "DURATION",
                   [](const std::string& text) { return spec::parse_duration(text).has_value(); }))
      ->required();
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return reserve(*options, chosen.is_json); }; });
}

}  // namespace

void add_reservations(CLI::App& app, Chosen& chosen) {
  add_reserve(app, chosen);
  const auto removed = std::make_shared<Options>();
  CLI::App* unreserving = app.add_subcommand("unreserve", "ends a reservation, or calls it off");
  unreserving->add_option("NAME", removed->name, "as `paddock reservations` shows it")->required();
  add_target_options(*unreserving, removed->target);
  add_output_option(*unreserving, chosen);
  unreserving->callback([removed, &chosen] {
    chosen.run = [removed, &chosen] { return unreserve(*removed, chosen.is_json); };
  });

  const auto listed = std::make_shared<Options>();
  CLI::App* listing = app.add_subcommand("reservations", "lists what is reserved, for whom and when");
  add_target_options(*listing, listed->target);
  add_output_option(*listing, chosen);
  listing->callback(
      [listed, &chosen] { chosen.run = [listed, &chosen] { return list(*listed, chosen.is_json); }; });
}

}  // namespace paddock::cli
