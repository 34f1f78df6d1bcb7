// `paddock schedules` and `paddock schedule …`: graphs that run by themselves.
#include <CLI/Option.hpp>
#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "cli/token.h"
#include "jobs/spec/units.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string name;
};

Json to_json(wire::Schedule::Reader schedule) {
  Json waiting = Json::array();
  for (const std::int64_t time : schedule.getWaiting()) waiting.push_back(time);
  Json history = Json::array();
  for (const auto run : schedule.getHistory()) {
    history.push_back({{"time_unix_ms", run.getTimeUnixMs()},
                       {"graph", run.getGraph() == 0 ? Json() : Json(run.getGraph())},
                       {"note", to_text(run.getNote())},
                       {"times", run.getTimes()}});
  }
  return {{"schedule", to_text(schedule.getName())},
          {"tenant", to_text(schedule.getTenant())},
          {"cron", to_text(schedule.getCron())},
          {"tz", to_text(schedule.getTz())},
          {"missed", to_text(schedule.getMissed())},
          {"overlap", to_text(schedule.getOverlap())},
          {"deadline_ms", schedule.getDeadlineMs() == 0 ? Json() : Json(schedule.getDeadlineMs())},
          {"paused", schedule.getPaused()},
          {"next_unix_ms", moment(schedule.getNextUnixMs())},
          {"obstacle", to_text(schedule.getObstacle())},
          {"runs", schedule.getRuns()},
          {"passed_over", schedule.getPassedOver()},
          {"waiting_unix_ms", std::move(waiting)},
          {"history", std::move(history)}};
}

// "graph 12 succeeded", "graph 12 goes", "not run: …", "3 not run: …"
std::string outcome_of(const Json& run) {
  const std::string note = plain(text_of(run, "note"));
  if (!run["graph"].is_null()) return "graph " + run["graph"].dump() + " " + (note.empty() ? "goes" : note);
  return (run["times"] == 1 ? "" : run["times"].dump() + " ") + "not run: " + note;
}

std::string next_of(const Json& schedule) {
  if (schedule["paused"] == true) return "paused";
  if (!text_of(schedule, "obstacle").empty()) return plain(text_of(schedule, "obstacle"));
  return schedule["next_unix_ms"].is_null() ? "never"
                                            : show_moment(schedule["next_unix_ms"].get<std::int64_t>());
}

std::string list_text(const Json& all) {
  std::vector<Row> rows;
  for (const Json& schedule : all) {
    const Json& history = schedule["history"];
    rows.push_back({text_of(schedule, "schedule"), plain(text_of(schedule, "cron")), text_of(schedule, "tz"),
                    next_of(schedule),
                    history.empty() ? "" : show_moment(history.back()["time_unix_ms"].get<std::int64_t>()),
                    history.empty() ? "" : outcome_of(history.back())});
  }
  return rows.empty() ? "no graph is scheduled; `schedule:` in its file does that\n"
                      : table({"SCHEDULE", "CRON", "ZONE", "NEXT", "LAST", "OUTCOME"}, rows);
}

std::string one_text(const Json& schedule) {
  std::string text = text_of(schedule, "schedule") + " of tenant " + text_of(schedule, "tenant") + ": " +
                     plain(text_of(schedule, "cron")) + " in " + text_of(schedule, "tz") + ", next " +
                     next_of(schedule) + "\nmissed: " + text_of(schedule, "missed") +
                     ", overlap: " + text_of(schedule, "overlap");
  if (!schedule["deadline_ms"].is_null())
    text += ", deadline: " + spec::format_duration(Millis(schedule["deadline_ms"].get<std::int64_t>()));
  text += "; " + schedule["runs"].dump() + " run so far, " + schedule["passed_over"].dump() + " not run\n";
  std::vector<Row> rows;
  for (const Json& run : schedule["history"])
    rows.push_back({show_moment(run["time_unix_ms"].get<std::int64_t>()), outcome_of(run)});
  for (const Json& time : schedule["waiting_unix_ms"])
    rows.push_back({show_moment(time.get<std::int64_t>()), "waits for the run before"});
  return text + (rows.empty() ? "" : table({"TIME", "OUTCOME"}, rows));
}

Result<int> list(const Options& options, bool is_json) {
  const auto answer = ask(options.target, wire::Message::SCHEDULES,
                          [&](wire::Message::Builder message) { message.setSchedulesRequest(options.name); });
  if (!answer) return tl::unexpected<Error>(answer.error());
  Json all = Json::array();
  for (const auto schedule : answer->message().getSchedules()) all.push_back(to_json(schedule));
  if (is_json)
    print_json({{"schedules", std::move(all)}});
  else
    print_text(options.name.empty() ? list_text(all) : one_text(all.at(0)));
  return kDone;
}

struct Act {
  const char* verb;
  const char* what;  // as the protocol names it
  const char* about;
  const char* done;  // "nightly is paused …"
};
constexpr Act kActs[] = {
    {"pause", "pause", "no new run begins; what goes is not touched", " is paused"},
    {"resume", "resume", "it goes on with the next time; those that passed meanwhile are not made up for",
     " goes on"},
    {"remove", "remove", "it is forgotten; what goes is not touched", " is removed"},
    {"run-now", "runNow", "a run out of turn, paused or not", ""},
};

Result<int> steer(const Options& options, const Act& act, bool is_json) {
  const bool is_run = std::string_view(act.what) == "runNow";
  const auto answer = ask(options.target, is_run ? wire::Message::SUBMITTED : wire::Message::DONE,
                          [&](wire::Message::Builder message) {
                            auto request = message.initSteerSchedule();
                            request.setName(options.name);
                            request.setWhat(act.what);
                            if (is_run) request.setToken(draw_token());
                          });
  if (!answer) return tl::unexpected<Error>(answer.error());
  const std::uint64_t graph = is_run ? answer->message().getSubmitted().getGraph() : 0;
  if (is_json)
    print_json({{"schedule", options.name}, {"graph", graph == 0 ? Json() : Json(graph)}});
  else if (!is_run)
    print_text("schedule " + options.name + act.done + "\n");
  else if (graph == 0)
    print_text("a run of " + options.name + " begins when the one before has ended\n");
  else
    print_text("submitted graph " + std::to_string(graph) + " " + options.name + "\n");
  return kDone;
}

}  // namespace

void add_schedules(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "schedules",
      "lists graphs that run by themselves: when next, what became of the last; or one with its runs");
  command->add_option("NAME", options->name, "the graph's");
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return list(*options, chosen.is_json); }; });

  CLI::App* one = app.add_subcommand("schedule", "pauses, resumes or removes a schedule, or runs it now");
  one->require_subcommand(1);
  for (const Act& act : kActs) {
    const auto given = std::make_shared<Options>();
    CLI::App* verb = one->add_subcommand(act.verb, act.about);
    verb->add_option("NAME", given->name, "the graph's, as `paddock schedules` shows it")->required();
    add_target_options(*verb, given->target);
    add_output_option(*verb, chosen);
    verb->callback([given, act, &chosen] {
      chosen.run = [given, act, &chosen] { return steer(*given, act, chosen.is_json); };
    });
  }
}

}  // namespace paddock::cli
