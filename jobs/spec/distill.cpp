#include "jobs/spec/distill.h"

#include "base/ids.h"

namespace paddock::spec {
namespace {

OptionTable<HeadSpec> student_head_table() {
  return OptionTable<HeadSpec>()
      .optional("hidden", &HeadSpec::hidden, Between{1, 65'536}, "width of the head's MLP")
      .optional("bottleneck", &HeadSpec::bottleneck, Between{1, 65'536}, "width before the prototypes")
      .optional("layers", &HeadSpec::layers, Between{1, 8}, "linear layers of the MLP");
}

OptionTable<StudentSpec> student_table() {
  return OptionTable<StudentSpec>()
      .include(&StudentSpec::backbone, backbone_table())
      .group("dino_head", &StudentSpec::dino_head, student_head_table(), "its head of class tokens")
      .group("ibot_head", &StudentSpec::ibot_head, student_head_table(),
             "its head of patches, where the teacher has one");
}

// Part of the names of artifacts, of which the last dot of a reference splits the job's name.
Rule<std::string> student_name_rule() {
  constexpr std::size_t kBytesMax = 64;
  Rule<std::string> rule;
  rule.allowed = "letters, digits, - and _, at most " + std::to_string(kBytesMax);
  rule.schema = Json{{"type", "string"}, {"pattern", "^[A-Za-z0-9_-]+$"}, {"maxLength", kBytesMax}};
  rule.read = [](const Json& json) -> std::optional<std::string> {
    auto name = json.get<std::string>();
    if (!is_name(name) || name.size() > kBytesMax || name.find('.') != std::string::npos) return std::nullopt;
    return name;
  };
  return rule;
}

NamedGroups<DistillOptions, StudentSpec> about_students() {
  NamedGroups<DistillOptions, StudentSpec> about;
  about.name = student_name_rule();
  about.count_max = kStudentsMax;
  about.instead_of = {"student"};
  about.over = {"dino_head", "ibot_head"};
  about.begin = [](const DistillOptions& options) {
    return StudentSpec{BackboneSpec(), options.dino_head, options.ibot_head};
  };
  return about;
}

// All are compared with the same teacher, patch by patch, on the same pictures.
void check_alike(const std::map<std::string, StudentSpec>& students, Problems& problems) {
  const auto& [first_name, first] = *students.begin();
  for (const auto& [name, student] : students) {
    for (const auto& [key, value] : {std::pair("patch_size", &BackboneSpec::patch_size),
                                     std::pair("channels", &BackboneSpec::channels)}) {
      if (student.backbone.*value == first.backbone.*value) continue;
      problems.push_back({join_path(student_key(name), key),
                          "is " + std::to_string(student.backbone.*value) + ", must be that of " +
                              student_key(first_name) + " (" + std::to_string(first.backbone.*value) +
                              "): all are compared with one teacher"});
    }
  }
}

OptionTable<DistillOptions> make_table() {
  return OptionTable<DistillOptions>()
      .required(
          "data", &DistillOptions::data,
          "what is learnt from: dataset folder, folder of pictures or tar files, tar file, list of paths")
      .optional("data_test", &DistillOptions::data_test,
                "what is held out, in the same forms; empty: the test/ in data")
      .optional("heldout_fraction", &DistillOptions::heldout_fraction, Between{0.0, 0.5},
                "share of the pictures to learn from that is held out instead")
      .required("teacher", &DistillOptions::teacher, "checkpoint folder of a pretraining run; stays as it is")
      .optional("batch_size", &DistillOptions::batch_size, Between{2, 1'000'000},
                "pictures a step over all ranks")
      .optional(
          "shards", &DistillOptions::shards, Between{0, 1'024},
          "parts of a batch computed apart; any number of ranks up to it gives the same bits; 0: chosen")
      .optional("seed", &DistillOptions::seed, Between{0, 2'147'483'647}, "of everything drawn")
      .group("student", &DistillOptions::student, backbone_table(), "the network that learns")
      .groups(
          "students", &DistillOptions::students, student_table(), about_students(),
          "several networks that learn from one pass of the teacher, by name; dino_head and ibot_head lie "
          "below what each says of its own")
      .group("crops", &DistillOptions::crops, crops_table(), "views of a picture")
      .group("augment", &DistillOptions::augment, augment_table(), "how views are changed")
      .group("dino_head", &DistillOptions::dino_head, student_head_table(),
             "the student's head of class tokens")
      .group("ibot_head", &DistillOptions::ibot_head, student_head_table(),
             "its head of patches, where the teacher has one")
      .group("loss", &DistillOptions::loss, loss_table(), "losses")
      .group("schedule", &DistillOptions::schedule, schedule_table(), "what changes over the run")
      .group("run", &DistillOptions::run, run_table(), "how it is carried out")
      .check([](const DistillOptions& options, Problems& problems) {
        const auto students = students_of(options);
        check_alike(students, problems);
        check_training(students.begin()->second.backbone, student_key(students.begin()->first), options.crops,
                       options.schedule, options.batch_size, options.shards, problems);
        check_held_out(options.data_test, options.heldout_fraction, problems);
        for (const auto& [name, student] : students) {
          if (student.backbone.drop_path != 0)
            problems.push_back({join_path(student_key(name), "drop_path"),
                                "must be 0: distillation uses no stochastic depth"});
        }
      });
}

}  // namespace

const OptionTable<DistillOptions>& distill_table() {
  static const OptionTable<DistillOptions> table = make_table();
  return table;
}

std::map<std::string, StudentSpec> students_of(const DistillOptions& options) {
  if (!options.students.empty()) return options.students;
  return {{"", {options.student, options.dino_head, options.ibot_head}}};
}

std::string student_key(const std::string& name) {
  return name.empty() ? "student" : "students." + name;
}

Json options_of_student(Json options, const std::string& name) {
  Json student = options.at("students").at(name);
  options.erase("students");
  for (const char* head : {"dino_head", "ibot_head"}) {
    options[head] = student.at(head);
    student.erase(head);
  }
  options["student"] = std::move(student);
  return options;
}

std::vector<std::string> distill_artifacts(const Json& with) {
  if (!with.contains("students")) return {"checkpoint", "run"};
  std::vector<std::string> artifacts;
  if (!with["students"].is_object()) return artifacts;
  for (const auto& [name, student] : with["students"].items()) artifacts.push_back("checkpoint-" + name);
  artifacts.emplace_back("run");
  return artifacts;
}

}  // namespace paddock::spec
