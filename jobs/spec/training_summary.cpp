#include "jobs/spec/training_summary.h"

#include "jobs/spec/number_text.h"
#include "jobs/spec/training_warnings.h"

namespace paddock::spec {
namespace {

// `kept`: share of the samples that do not skip a block.
double forward_flops(const TrainingRun& run, const NetworkSize& network, double kept, std::int64_t locals) {
  const auto of_crops = [&](std::int64_t crops, std::int64_t size) {
    return static_cast<double>(crops) *
           (kept * block_flops(network.backbone, size) + embedding_flops(network.backbone, size));
  };
  return of_crops(2, run.crops.global_size) + of_crops(locals, run.crops.local_size);
}

double heads_flops(const NetworkSize& network, double class_rows, double patch_rows) {
  const std::int64_t width = network.backbone.embed_dim;
  return class_rows * head_flops(network.dino_head, width) +
         patch_rows * head_flops(network.patch_head(), width);
}

// A backward pass is twice the work of its forward pass. A teacher that is the moving average of a student looks
// for itself; a frozen one once for all students.
double flops_a_picture(const TrainingRun& run) {
  const std::int64_t locals = run.local_crops();
  const double patches = run.patches_looked_at();
  double flops = 0;
  for (const auto& [name, student] : run.learners()) {
    flops += 3 * forward_flops(run, student, 1 - student.backbone.drop_path, locals);
    if (run.teacher) flops += 3 * heads_flops(student, static_cast<double>(2 + locals), patches);
  }
  if (!run.teacher) return flops;
  return flops + forward_flops(run, *run.teacher, 1, 0) + heads_flops(*run.teacher, 2, patches);
}

std::string in_epochs(const TrainingSummary& summary) {
  if (!summary.epochs) return "";
  return " (" + short_number(*summary.epochs, 4) + " epochs of " + grouped(*summary.dataset_pictures) +
         " pictures)";
}

TrainingSizes sizes_of(const TrainingRun& run) {
  TrainingSizes sizes;
  sizes.teacher_tokens = run.teacher_tokens();
  sizes.is_teacher_known = run.teacher.has_value();
  for (const auto& [name, student] : run.learners()) {
    const StudentSizes own{run.student_tokens(student), backbone_parameters(student),
                           run.teacher ? heads_parameters(student) : 0};
    sizes.student_tokens += own.tokens;
    sizes.backbone_parameters += own.backbone_parameters;
    sizes.heads_parameters += own.heads_parameters;
    if (!run.students.empty()) sizes.students.emplace(name, own);
  }
  sizes.flops_a_picture = flops_a_picture(run);
  sizes.flops_a_step = sizes.flops_a_picture * static_cast<double>(run.batch_size);
  sizes.memory = training_memory(run);
  return sizes;
}

std::string parameters_text(const TrainingSizes& sizes, std::int64_t backbone, std::int64_t heads) {
  std::string text = "backbone " + with_prefix(static_cast<double>(backbone)) + " parameters";
  if (sizes.is_teacher_known) text += ", heads " + with_prefix(static_cast<double>(heads)) + " parameters";
  return text;
}

std::string to_text(const TrainingSizes& sizes, bool is_bf16) {
  const std::string at_least = sizes.is_teacher_known ? "" : "at least ";
  std::string text = "networks  ";
  for (const auto& [name, own] : sizes.students)
    text += name + ": " + parameters_text(sizes, own.backbone_parameters, own.heads_parameters) + "; ";
  text += (sizes.students.empty() ? "" : "together: ") +
          parameters_text(sizes, sizes.backbone_parameters, sizes.heads_parameters);
  if (!sizes.is_teacher_known)
    text += "; heads and what else the teacher decides are not counted, since it isn't known yet";
  text += "\nwork      " + at_least + with_prefix(sizes.flops_a_picture) + "FLOP a picture, " +
          with_prefix(sizes.flops_a_step) +
          "FLOP a step; tokens a picture: " + (sizes.students.empty() ? "student " : "students together ") +
          grouped(sizes.student_tokens) + ", teacher " + grouped(sizes.teacher_tokens) + "\n";
  const TrainingMemory& memory = sizes.memory;
  text += "memory    " + (sizes.is_teacher_known ? "about " : at_least) + gibibytes(memory.total()) +
          " GiB a rank in " + (is_bf16 ? "bf16" : "fp32");
  text += ": weights " + gibibytes(memory.weights) + ", gradients " + gibibytes(memory.gradients) +
          ", optimiser " + gibibytes(memory.optimiser) + ", pictures " + gibibytes(memory.pictures) +
          ", targets " + gibibytes(memory.targets) + ", activations " + gibibytes(memory.activations) + "; " +
          gibibytes(memory.checkpoint) + " more of rank 0's host while a checkpoint is written";
  return text + "\n";
}

Json to_json(const TrainingSizes& sizes) {
  const TrainingMemory& memory = sizes.memory;
  Json students = Json::object();
  for (const auto& [name, own] : sizes.students) {
    students[name] = {{"tokens", own.tokens},
                      {"backbone_parameters", own.backbone_parameters},
                      {"heads_parameters", sizes.is_teacher_known ? Json(own.heads_parameters) : Json()}};
  }
  return {{"student_tokens", sizes.student_tokens},
          {"teacher_tokens", sizes.teacher_tokens},
          {"backbone_parameters", sizes.backbone_parameters},
          {"heads_parameters", sizes.is_teacher_known ? Json(sizes.heads_parameters) : Json()},
          {"students", std::move(students)},
          {"is_teacher_known", sizes.is_teacher_known},
          {"flops_a_picture", sizes.flops_a_picture},
          {"flops_a_step", sizes.flops_a_step},
          {"memory_bytes",
           {{"weights", memory.weights},
            {"gradients", memory.gradients},
            {"optimiser", memory.optimiser},
            {"pictures", memory.pictures},
            {"targets", memory.targets},
            {"activations", memory.activations},
            {"total", memory.total()},
            {"checkpoint", memory.checkpoint}}}};
}

}  // namespace

std::optional<TrainingSummary> summarize_training(const std::string& kind, const Json& with,
                                                  const TrainingFacts& facts) {
  const auto run = training_run(kind, with, facts);
  if (!run) return std::nullopt;
  TrainingSummary summary;
  summary.steps = run->schedule.steps;
  summary.batch_size = run->batch_size;
  summary.samples = run->schedule.steps * run->batch_size;
  summary.warmup_steps = run->schedule.warmup_steps;
  summary.warmup_samples = run->schedule.warmup_steps * run->batch_size;
  summary.dataset_pictures = run->dataset_pictures;
  if (run->dataset_pictures.value_or(0) > 0)
    summary.epochs = static_cast<double>(summary.samples) / static_cast<double>(*run->dataset_pictures);
  summary.base_learning_rate = run->schedule.base_lr;
  summary.peak_learning_rate = run->peak_learning_rate();
  summary.last_learning_rate = run->schedule.min_lr;
  summary.ranks = run->ranks;
  summary.shards = run->shards;
  summary.pictures_a_shard = run->pictures_a_shard();
  summary.shards_a_rank = run->shards_a_rank();
  summary.is_bf16 = run->is_bf16;
  if (run->is_student_known) summary.sizes = sizes_of(*run);
  summary.warnings = training_warnings(*run);
  return summary;
}

std::string to_text(const TrainingSummary& summary) {
  std::string text = "length    " + grouped(summary.steps) + " steps of " + grouped(summary.batch_size) +
                     " pictures: " + grouped(summary.samples) + " samples" + in_epochs(summary) + "\n";
  text += "rate      " + short_number(summary.peak_learning_rate) + ", which is " +
          short_number(summary.base_learning_rate, 5) + " · √(" + std::to_string(summary.batch_size) +
          " / 1024), after a warm-up of " + grouped(summary.warmup_steps) + " steps (" +
          grouped(summary.warmup_samples) + " samples); then down to " +
          short_number(summary.last_learning_rate) + "\n";
  text += "shards    " + std::to_string(summary.shards) + " of " + std::to_string(summary.pictures_a_shard) +
          " pictures; " +
          (summary.ranks == 1 ? "1 rank has all\n"
                              : std::to_string(summary.ranks) + " ranks have at most " +
                                    std::to_string(summary.shards_a_rank) + " each\n");
  text += summary.sizes ? to_text(*summary.sizes, summary.is_bf16)
                        : "networks  those that it begins from, which are known when it starts\n";
  for (const std::string& warning : summary.warnings) text += "warning: " + warning + "\n";
  return text;
}

Json to_json(const TrainingSummary& summary) {
  const auto or_null = [](const auto& value) { return value ? Json(*value) : Json(); };
  return {{"steps", summary.steps},
          {"batch_size", summary.batch_size},
          {"samples", summary.samples},
          {"warmup_steps", summary.warmup_steps},
          {"warmup_samples", summary.warmup_samples},
          {"dataset_pictures", or_null(summary.dataset_pictures)},
          {"epochs", or_null(summary.epochs)},
          {"base_learning_rate", summary.base_learning_rate},
          {"peak_learning_rate", summary.peak_learning_rate},
          {"last_learning_rate", summary.last_learning_rate},
          {"ranks", summary.ranks},
          {"shards", summary.shards},
          {"pictures_a_shard", summary.pictures_a_shard},
          {"shards_a_rank", summary.shards_a_rank},
          {"precision", summary.is_bf16 ? "bf16" : "fp32"},
          {"sizes", summary.sizes ? to_json(*summary.sizes) : Json()},
          {"warnings", summary.warnings}};
}

}  // namespace paddock::spec
