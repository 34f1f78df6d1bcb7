// `paddock-run model info`: what kind of model a file holds.
#include <nlohmann/json.hpp>
#include <sstream>

#include "jobs/model/commands.h"

namespace paddock::jobs {
namespace {

using Json = nlohmann::ordered_json;

Json described(const std::string& path, const LoadedModel& loaded) {
  const model::VisionTransformerOptions& options = loaded.network->options();
  const model::Grid grid = loaded.network->own_grid();
  Json normalization;
  if (loaded.normalization)
    normalization = {{"mean", loaded.normalization->mean}, {"std", loaded.normalization->std}};
  Json about = {{"path", path}, {"format", loaded.format}, {"family", loaded.family}};
  if (!loaded.checkpoint.is_null()) about["checkpoint"] = loaded.checkpoint;
  about.update(Json{{"embed_dim", options.embed_dim},
                    {"depth", options.depth},
                    {"heads", options.heads},
                    {"patch_size", options.patch_size},
                    {"channels", options.channels},
                    {"registers", options.registers},
                    {"class_token", options.class_token},
                    {"patch_bias", options.patch_bias},
                    {"pre_norm", options.pre_norm},
                    {"ffn", options.ffn},
                    {"ffn_hidden", model::feed_forward_width(options)},
                    {"activation", options.ffn == "swiglu" ? "silu" : options.activation},
                    {"activation_assumed", loaded.is_activation_assumed},
                    {"layerscale", options.layerscale > 0},
                    {"norm_epsilon", options.norm_epsilon},
                    {"positions",
                     {{"rows", grid.rows},
                      {"columns", grid.columns},
                      {"image_height", options.image_height},
                      {"image_width", options.image_width},
                      {"interpolate_antialias", options.interpolate_antialias},
                      {"interpolate_offset", options.interpolate_offset}}},
                    {"normalization", normalization},
                    {"parameters", model::count_parameters(loaded.network->parameters())},
                    {"dtypes", loaded.dtypes},
                    {"bytes", loaded.bytes},
                    {"left_out", loaded.left_out}});
  return about;
}

// 1136480768 → 1 136 480 768, which can be read.
std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), 1, ' ');
  return text;
}

std::string shown(const Json& about) {
  const Json& positions = about["positions"];
  std::ostringstream text;
  const auto line = [&](const char* what) -> std::ostream& {
    text << '\n' << what << std::string(14 - std::string_view(what).size(), ' ');
    return text;
  };
  text << about["path"].get<std::string>() << ": " << about["format"].get<std::string>() << ", family "
       << about["family"].get<std::string>();
  if (about.contains("checkpoint")) {
    const Json& checkpoint = about["checkpoint"];
    line("checkpoint") << checkpoint["role"].get<std::string>() << " at step " << checkpoint["step"] << ", "
                       << checkpoint["hash"].get<std::string>();
  }
  line("width") << about["embed_dim"] << " in " << about["heads"] << " heads";
  const auto is = [&about](const char* key) { return about[key].get<bool>(); };
  line("depth") << about["depth"] << " blocks, " << about["ffn"].get<std::string>() << " of "
                << about["ffn_hidden"] << " with " << about["activation"].get<std::string>()
                << (is("activation_assumed") ? " (assumed), " : ", ")
                << (is("layerscale") ? "with" : "without") << " LayerScale, LayerNorm with epsilon "
                << about["norm_epsilon"] << (is("pre_norm") ? ", one before the first block too" : "");
  line("patch") << about["patch_size"] << " pixels of " << about["channels"] << " channels"
                << (is("patch_bias") ? "" : ", without bias");
  line("tokens") << (is("class_token") ? "a class token, "
                                       : "no class token, the patches' mean stands for it; ")
                 << about["registers"] << " registers";
  if (const Json& normalization = about["normalization"]; normalization.is_null())
    line("normalised") << "nobody says how";
  else
    line("normalised") << "mean " << normalization["mean"] << ", deviation " << normalization["std"];
  line("positions") << positions["rows"] << " × " << positions["columns"] << " (" << positions["image_height"]
                    << " × " << positions["image_width"] << " pixels); other sizes: bicubic, offset "
                    << positions["interpolate_offset"]
                    << (positions["interpolate_antialias"].get<bool>() ? ", antialiased" : "");
  line("parameters") << grouped(about["parameters"]);
  line("stored as");
  for (const Json& dtype : about["dtypes"]) text << dtype.get<std::string>() << ' ';
  text << "in " << grouped(about["bytes"]) << " bytes";
  line("left out") << about["left_out"].size() << (about["left_out"].size() == 1 ? " thing" : " things");
  for (const Json& name : about["left_out"]) text << "\n  " << name.get<std::string>();
  return text.str() + '\n';
}

void run(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  const Json about = described(arguments.text("--weights"), load_given_model(arguments, err));
  if (arguments.text("--output") == "json")
    out << about.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  else
    out << shown(about);
}

}  // namespace

ModelCommand info_command() {
  return {"info", "what kind of model a file holds",
          with_weights_options({{.name = "--output",
                                 .about = "for people or for programs",
                                 .initial = "text",
                                 .choices = {"text", "json"}}}),
          run};
}

}  // namespace paddock::jobs
