#include "jobs/model/model_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <torch/types.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/decode.h"
#include "data/resize.h"
#include "jobs/evaluate/features.h"
#include "jobs/evaluate/pictures.h"
#include "jobs/model/decoded_pictures.h"
#include "jobs/model_checkpoint.h"
#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"
#include "model/vision_transformer.h"
#include "storage/checkpoint.h"
#include "storage/safetensors.h"
#include "tests/jobs/drawn_pictures.h"
#include "tests/jobs/tiny_run.h"
#include "tests/storage/zip_archive.h"

namespace paddock::model {

// What tells the cases apart. Without both of these a test's name would be the bytes of its options.
static std::string name_of(const VisionTransformerOptions& options) {
  return options.ffn + "_" + std::to_string(options.registers) + "_registers_" +
         std::to_string(options.heads) + "_heads";
}
static void PrintTo(const VisionTransformerOptions& options, std::ostream* out) {
  *out << name_of(options);
}

}  // namespace paddock::model

namespace paddock::jobs {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;

// Two heads of 64: what a file without their number means.
model::VisionTransformerOptions tiny() {
  model::VisionTransformerOptions options;
  options.image_height = options.image_width = 32;
  options.patch_size = 8;
  options.embed_dim = 128;
  options.depth = 2;
  options.heads = 2;
  options.registers = 3;
  options.layerscale = .1;
  options.interpolate_antialias = true;
  options.interpolate_offset = 0;
  return options;
}

model::VisionTransformer network_of(const model::VisionTransformerOptions& options) {
  model::VisionTransformer network(options);
  network.initialize(11);
  return network;
}

void write_tensors(const fs::path& path, const model::NamedTensors& tensors) {
  storage::RealDisk disk;
  std::vector<storage::TensorBytes> bytes;
  for (const auto& [name, tensor] : tensors) bytes.push_back(bytes_of_tensor(name, tensor));
  value_or_throw(storage::write_safetensors(disk, path, bytes), "writing");
}

model::TensorMap read_tensors(const fs::path& path) {
  storage::RealDisk disk;
  return tensors_of_bytes(value_or_throw(storage::read_safetensors(disk, path), "reading").contents.tensors);
}

data::Image read_png(const fs::path& path) {
  const std::string text = text_of_file(path);
  return value_or_throw(data::decode_image(storage::bytes_of(text)), path.string());
}

// As torch.save writes a state dict of contiguous float32 tensors, each in a storage of its own.
std::string torch_file_of(const model::NamedTensors& tensors) {
  const auto text = [](const std::string& of) { return "X" + storage::little_endian(of.size(), 4) + of; };
  const auto number = [](std::int64_t of) {
    return "J" + storage::little_endian(static_cast<std::uint64_t>(of), 4);
  };
  const auto tuple = [&](torch::IntArrayRef of) {
    std::string numbers;
    for (const std::int64_t one : of) numbers += number(one);
    return "(" + numbers + "t";
  };
  std::string pickle = "\x80\x02}(";
  std::vector<storage::ArchiveEntry> entries(1);
  for (const auto& [name, tensor] : tensors) {
    const std::string key = std::to_string(entries.size() - 1);
    pickle += text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
              "ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(tensor.numel()) + "tQ" + number(0) +
              tuple(tensor.sizes()) + tuple(tensor.strides()) + "\x89" + "ccollections\nOrderedDict\n)RtR";
    entries.push_back(
        {"tiny/data/" + key, {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  entries[0] = {"tiny/data.pkl", pickle + "u."};
  return storage::zip_archive(entries);
}

class ModelCommand : public testing::Test {
 protected:
  void SetUp() override {
    write_tensors(weights(), network_.parameters());
    for (int i = 0; i < 5; ++i)
      write_bytes(path("pictures/" + std::to_string(i) + ".png"),
                  data::encode_png(drawn_picture(static_cast<std::uint64_t>(i), 60 + 10 * i, 50)));
  }

  fs::path path(const std::string& name) const { return scratch_.path() / name; }
  fs::path weights() const { return path("tiny.safetensors"); }

  int run(const std::vector<std::string>& words) {
    out_.str("");
    err_.str("");
    return run_model_command(words, out_, err_);
  }
  int run_on_pictures(const std::string& command, std::vector<std::string> more) {
    std::vector<std::string> words = {command,  "--weights", weights().string(), "--input", pictures(),
                                      "--size", "32"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  std::string pictures() const { return path("pictures").string(); }
  json info_of(const fs::path& of, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"info", "--weights", of.string(), "--output", "json"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(run(words), kDone) << err();
    return json::parse(out());
  }
  // One sentence on the error stream and nothing else.
  void expect_refused(const std::vector<std::string>& words, int code, const std::string& sentence) {
    EXPECT_EQ(run(words), code) << err();
    EXPECT_THAT(err(), AllOf(testing::StartsWith("paddock-run: "), HasSubstr(sentence)));
    EXPECT_EQ(std::count(err_.view().begin(), err_.view().end(), '\n'), 1) << err();
    EXPECT_EQ(out(), "");
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  // The squares that the commands make of the pictures with --size 32.
  std::vector<data::Image> squares() const {
    std::vector<data::Image> squares;
    for (int i = 0; i < 5; ++i)
      squares.push_back(
          evaluate::square_of(read_png(path("pictures/" + std::to_string(i) + ".png")), {32, .875, false}));
    return squares;
  }
  evaluate::FeatureTable expected_features(const std::string& what) const {
    const std::vector<data::Image> of = squares();
    std::vector<const data::Image*> pointers;
    for (const data::Image& square : of) pointers.push_back(&square);
    return evaluate::features_of(network_, data::usual_normalization(3), pointers, what, 16, 1,
                                 [](std::size_t) {});
  }

  // A folder with `network` as the teacher of a run.
  fs::path write_checkpoint(const model::VisionTransformer& network, const json& state,
                            std::string* hash = nullptr) {
    storage::RealDisk disk;
    EXPECT_TRUE(storage::claim_run(disk, path("run"), Fence(1)));
    storage::CheckpointContent content;
    content.step = state.at("step");
    content.fence = Fence(1);
    content.state = state;
    const model::NamedTensors named = model::with_prefix("teacher.backbone.", network.parameters());
    std::vector<storage::TensorBytes> tensors;
    for (const auto& [name, tensor] : named) tensors.push_back(bytes_of_tensor(name, tensor));
    content.files.emplace_back("teacher.safetensors", tensors);
    const auto written = value_or_throw(storage::write_checkpoint(disk, path("run"), content), "writing");
    if (hash != nullptr) *hash = written.hash;
    return written.path;
  }

  const ScratchFolder scratch_{"paddock-model-command"};
  const model::VisionTransformer network_ = network_of(tiny());

 private:
  std::ostringstream out_, err_;
};

TEST_F(ModelCommand, InfoCountsWhatIsThere) {
  const json about = info_of(weights());
  EXPECT_EQ(about["format"], "safetensors");
  EXPECT_EQ(about["family"], "dinov2");
  EXPECT_EQ(about["embed_dim"], 128);
  EXPECT_EQ(about["depth"], 2);
  EXPECT_EQ(about["heads"], 2);
  EXPECT_EQ(about["patch_size"], 8);
  EXPECT_EQ(about["registers"], 3);
  EXPECT_EQ(about["ffn"], "mlp");
  EXPECT_EQ(about["layerscale"], true);
  EXPECT_EQ(about["positions"]["rows"], 4);
  // Tokens 1 + 17 + 3 + 1 of 128; patches 3·8·8·128 + 128; blocks each 4·128 of norms, 2·128 of gains and the matrices
  // 128 → 384, 128 → 128, 128 → 512, 512 → 128 with their biases; the last norm 2·128.
  const std::int64_t block = 6 * 128 + 128 * 384 + 384 + 128 * 128 + 128 + 128 * 512 + 512 + 512 * 128 + 128;
  const std::int64_t parameters = 22 * 128 + 192 * 128 + 128 + 2 * block + 2 * 128;
  EXPECT_EQ(about["parameters"], parameters);
  EXPECT_EQ(about["bytes"], 4 * parameters);
  EXPECT_EQ(about["dtypes"], json::array({"F32"}));
  EXPECT_EQ(about["left_out"], json::array());
  EXPECT_EQ(run({"info", "--weights", weights().string()}), kDone);
  EXPECT_THAT(out(), AllOf(HasSubstr("128 in 2 heads"), HasSubstr("4 × 4"), HasSubstr("family dinov2")));
}

TEST_F(ModelCommand, APyTorchFileOfTheSameWeightsIsTheSameModel) {
  std::ofstream(path("tiny.pth"), std::ios::binary) << torch_file_of(network_.parameters());
  json about = info_of(path("tiny.pth"));
  EXPECT_EQ(about["format"], "pytorch");
  fs::copy_file(path("tiny.pth"), path("tiny.pth.tar"));
  EXPECT_EQ(info_of(path("tiny.pth.tar"))["format"], "pytorch");
  json expected = info_of(weights());
  for (json* of : {&about, &expected})
    for (const char* key : {"path", "format"}) of->erase(key);
  EXPECT_EQ(about, expected);
  const fs::path back = path("back.safetensors");
  ASSERT_EQ(
      run({"convert", "--weights", path("tiny.pth").string(), "--to", "official", "--out", back.string()}),
      kDone)
      << err();
  const model::TensorMap found = read_tensors(back);
  for (const auto& [name, tensor] : network_.parameters())
    EXPECT_TRUE(torch::equal(found.at(name), tensor)) << name;
}

TEST_F(ModelCommand, ATrainingFileGivesTheRoleAskedForAndNamesTheRest) {
  model::VisionTransformer student(tiny());
  student.initialize(12);
  for (const auto& [name, tensor] : student.parameters())
    if (name == "norm.weight") tensor.fill_(3);
  model::NamedTensors all = model::with_prefix("teacher.backbone.", network_.parameters());
  for (const auto& named : model::with_prefix("student.backbone.", student.parameters()))
    all.push_back(named);
  const auto head = torch::ones({4, 4});
  all.emplace_back("teacher.dino_head.mlp.0.weight", head);
  write_tensors(path("both.safetensors"), all);
  const auto written_by_role = [&](const std::string& role) {
    const fs::path out = path("of-" + role + ".safetensors");
    std::vector<std::string> words = {
        "convert", "--weights", path("both.safetensors").string(), "--to", "official", "--out", out.string()};
    if (!role.empty()) words.insert(words.end(), {"--role", role});
    EXPECT_EQ(run(words), kDone) << err();
    return read_tensors(out).at("norm.weight");
  };
  EXPECT_EQ(written_by_role("teacher").max().item<float>(), 1);
  EXPECT_EQ(written_by_role("student").max().item<float>(), 3);
  EXPECT_EQ(written_by_role("").max().item<float>(), 1);
  const json about = info_of(path("both.safetensors"));
  EXPECT_EQ(about["left_out"].size(), network_.parameters().size() + 1);
  EXPECT_THAT(about["left_out"].dump(), HasSubstr("student.backbone.cls_token"));
}

TEST_F(ModelCommand, ACheckpointOfARunIsReadByItsRole) {
  std::string hash;
  const fs::path checkpoint =
      write_checkpoint(network_, {{"step", 7}, {"backbone", backbone_to_json(tiny())}}, &hash);
  const json about = info_of(checkpoint);
  EXPECT_EQ(about["family"], "paddock");
  EXPECT_EQ(about["checkpoint"], json({{"role", "teacher"}, {"hash", hash}, {"step", 7}}));
  EXPECT_EQ(run({"convert", "--weights", checkpoint.string(), "--to", "official", "--out",
                 path("of-checkpoint.safetensors").string()}),
            kDone);
  for (const auto& [name, tensor] : network_.parameters())
    EXPECT_TRUE(torch::equal(read_tensors(path("of-checkpoint.safetensors")).at(name), tensor)) << name;
  expect_refused({"info", "--weights", checkpoint.string(), "--heads", "4"}, kWrongUsage, "2 heads");
  expect_refused({"info", "--weights", checkpoint.string(), "--role", "student"}, kWrongUsage,
                 "student.safetensors");
}

class Conversion : public ModelCommand,
                   public testing::WithParamInterface<model::VisionTransformerOptions> {};

TEST_P(Conversion, ToHuggingFaceAndBackIsTheSameToTheBit) {
  const model::VisionTransformerOptions options = GetParam();
  const model::VisionTransformer network = network_of(options);
  const fs::path original = path("original.safetensors"), back = path("back.safetensors");
  write_tensors(original, network.parameters());
  const std::vector<std::string> heads = {"--heads", std::to_string(options.heads)};
  std::vector<std::string> there = {"convert",      "--weights", original.string(),  "--to",
                                    "hugging-face", "--out",     path("hf").string()};
  there.insert(there.end(), heads.begin(), heads.end());
  ASSERT_EQ(run(there), kDone) << err();
  const json config = json::parse(text_of_file(path("hf/config.json")));
  EXPECT_EQ(config["model_type"], options.registers > 0 ? "dinov2_with_registers" : "dinov2");
  EXPECT_EQ(config["architectures"],
            json::array({options.registers > 0 ? "Dinov2WithRegistersModel" : "Dinov2Model"}));
  EXPECT_EQ(config["num_attention_heads"], options.heads);
  EXPECT_EQ(config["use_swiglu_ffn"], options.ffn == "swiglu");
  EXPECT_EQ(config.contains("num_register_tokens"), options.registers > 0);
  // Heads come from config.json on the way back.
  ASSERT_EQ(run({"convert", "--weights", path("hf").string(), "--to", "official", "--out", back.string()}),
            kDone)
      << err();
  EXPECT_EQ(info_of(path("hf"))["heads"], options.heads);
  const model::TensorMap expected = read_tensors(original), found = read_tensors(back);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) EXPECT_TRUE(torch::equal(found.at(name), tensor)) << name;
}

model::VisionTransformerOptions changed(const std::function<void(model::VisionTransformerOptions&)>& change) {
  model::VisionTransformerOptions options = tiny();
  change(options);
  return options;
}

INSTANTIATE_TEST_SUITE_P(Architectures, Conversion,
                         testing::Values(tiny(), changed([](auto& options) { options.registers = 0; }),
                                         changed([](auto& options) { options.ffn = "swiglu"; }),
                                         changed([](auto& options) { options.heads = 8; })),
                         [](const auto& each) { return name_of(each.param); });

TEST_F(ModelCommand, ConversionToHalfPrecisionRoundsEachNumber) {
  for (const auto& [option, type, name] :
       {std::tuple{"bf16", torch::kBFloat16, "BF16"}, std::tuple{"fp16", torch::kFloat16, "F16"}}) {
    const fs::path out = path(std::string(option) + ".safetensors");
    ASSERT_EQ(run({"convert", "--weights", weights().string(), "--to", "official", "--out", out.string(),
                   "--dtype", option}),
              kDone)
        << err();
    const model::TensorMap found = read_tensors(out);
    for (const auto& [tensor_name, tensor] : network_.parameters())
      EXPECT_TRUE(torch::equal(found.at(tensor_name), tensor.to(type))) << tensor_name;
    EXPECT_EQ(info_of(out)["dtypes"], json::array({name}));
  }
}

TEST_F(ModelCommand, NumbersThatHalfPrecisionCannotHoldAreNotMadeInfinite) {
  model::VisionTransformer network(tiny());
  network.initialize(1);
  for (const auto& [name, tensor] : network.parameters())
    if (name == "norm.bias") tensor.fill_(1e5);
  write_tensors(path("large.safetensors"), network.parameters());
  expect_refused({"convert", "--weights", path("large.safetensors").string(), "--to", "official", "--dtype",
                  "fp16", "--out", path("half.safetensors").string()},
                 kWrongUsage, "norm.bias has numbers beyond 65504");
}

TEST_F(ModelCommand, ConversionSaysWhatTheNewNamesCannotCarry) {
  const fs::path other = path("without-registers.safetensors");
  const model::VisionTransformer network = network_of(changed([](auto& options) { options.registers = 0; }));
  write_tensors(other, network.parameters());
  ASSERT_EQ(
      run({"convert", "--weights", other.string(), "--to", "hugging-face", "--out", path("hf").string()}),
      kDone);
  EXPECT_THAT(err(), HasSubstr("sizes other than 32 × 32 pixels"));
  ASSERT_EQ(run({"convert", "--weights", weights().string(), "--to", "official", "--heads", "4", "--out",
                 path("four.safetensors").string()}),
            kDone);
  EXPECT_THAT(err(), AllOf(HasSubstr("4 heads"), Not(HasSubstr("sizes other than"))));
}

TEST_F(ModelCommand, AConfigSaysWhatNoShapeDoes) {
  ASSERT_EQ(
      run({"convert", "--weights", weights().string(), "--to", "hugging-face", "--out", path("hf").string()}),
      kDone);
  json config = json::parse(text_of_file(path("hf/config.json")));
  EXPECT_EQ(config["layer_norm_eps"], 1e-6);
  const auto change = [&](const std::string& key, const json& value) {
    json changed = config;
    changed[key] = value;
    std::ofstream(path("hf/config.json")) << changed;
  };
  change("layer_norm_eps", 1e-5);
  EXPECT_EQ(info_of(path("hf"))["norm_epsilon"], 1e-5);
  ASSERT_EQ(run({"convert", "--weights", path("hf").string(), "--to", "official", "--out",
                 path("back.safetensors").string()}),
            kDone);
  EXPECT_THAT(err(), HasSubstr("LayerNorms add 1e-05"));
  const std::vector<std::string> info = {"info", "--weights", path("hf").string()};
  change("num_attention_heads", "two");
  expect_refused(info, kWrongUsage, "num_attention_heads");
  change("hidden_act", "relu");
  expect_refused(info, kWrongUsage, "only gelu");
  change("num_attention_heads", 2);
  expect_refused({"info", "--weights", path("hf").string(), "--heads", "4"}, kWrongUsage, "--heads says 4");
  fs::remove(path("hf/model.safetensors"));
  expect_refused(info, kWrongUsage, "neither model.safetensors nor pytorch_model.bin");
}

TEST_F(ModelCommand, ForwardEqualsTheBackboneItself) {
  for (const auto& [rows, columns] : {std::pair{32, 32}, std::pair{24, 48}}) {
    const torch::Tensor images = torch::randn({3, 3, rows, columns});
    write_tensors(path("images.safetensors"), {{"images", images}});
    ASSERT_EQ(
        run({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
             "--out", path("tokens.safetensors").string(), "--force"}),
        kDone)
        << err();
    const model::TensorMap tokens = read_tensors(path("tokens.safetensors"));
    const model::Features expected = network_.forward_features(images);
    EXPECT_TRUE(torch::equal(tokens.at("cls"), expected.cls_BD));
    EXPECT_TRUE(torch::equal(tokens.at("registers"), expected.registers_BRD));
    EXPECT_TRUE(torch::equal(tokens.at("patches"), expected.patches_BND));
  }
}

TEST_F(ModelCommand, ForwardInBatchesGivesTheSameTokens) {
  const torch::Tensor images = torch::randn({5, 3, 32, 32});
  write_tensors(path("images.safetensors"), {{"images", images}});
  ASSERT_EQ(run({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
                 "--out", path("tokens.safetensors").string(), "--batch", "2"}),
            kDone)
      << err();
  const torch::Tensor found = read_tensors(path("tokens.safetensors")).at("patches");
  EXPECT_TRUE(torch::allclose(found, network_.forward_features(images).patches_BND, 1e-5, 1e-5));
}

TEST_F(ModelCommand, FeaturesAsNpyHaveItsHeaderAndTheBackbonesValues) {
  ASSERT_EQ(run_on_pictures("features", {"--out", path("f.npy").string()}), kDone) << err();
  const std::string file = text_of_file(path("f.npy"));
  ASSERT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const auto length = static_cast<std::size_t>(static_cast<unsigned char>(file[8])) +
                      256 * static_cast<std::size_t>(static_cast<unsigned char>(file[9]));
  EXPECT_EQ((10 + length) % 64, 0u);
  const std::string header = file.substr(10, length);
  EXPECT_THAT(header, testing::StartsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 128), }"));
  EXPECT_EQ(header.back(), '\n');
  const evaluate::FeatureTable expected = expected_features("cls");
  ASSERT_EQ(file.size(), 10 + length + 4 * expected.values.size());
  EXPECT_EQ(std::memcmp(file.data() + 10 + length, expected.values.data(), 4 * expected.values.size()), 0);
  EXPECT_EQ(text_of_file(path("f.npy.txt")), pictures() + "/0.png\n" + pictures() + "/1.png\n" + pictures() +
                                                 "/2.png\n" + pictures() + "/3.png\n" + pictures() +
                                                 "/4.png\n");
}

TEST_F(ModelCommand, FeaturesAsSafetensorsHaveAllThatIsAskedFor) {
  ASSERT_EQ(run_on_pictures("features", {"--what", "cls_patchmean", "--out", path("f.safetensors").string()}),
            kDone)
      << err();
  const torch::Tensor rows = read_tensors(path("f.safetensors")).at("features");
  ASSERT_EQ(rows.sizes(), (torch::IntArrayRef{5, 256}));
  EXPECT_EQ(
      std::memcmp(rows.const_data_ptr(), expected_features("cls_patchmean").values.data(), rows.nbytes()), 0);
  ASSERT_EQ(run_on_pictures("features", {"--what", "patches", "--out", path("p.safetensors").string()}),
            kDone)
      << err();
  const torch::Tensor patches = read_tensors(path("p.safetensors")).at("features");
  ASSERT_EQ(patches.sizes(), (torch::IntArrayRef{5, 16, 128}));
  EXPECT_TRUE(torch::allclose(patches.mean(1), rows.slice(1, 128), 1e-5, 1e-6));
}

TEST_F(ModelCommand, FeaturesComeFromShardSetsAsWell) {
  write_split(path("shards"), 3, 4);
  ASSERT_EQ(run({"features", "--weights", weights().string(), "--input", path("shards").string(),
                 path("pictures/1.png").string(), "--size", "32", "--fit", "pad", "--out",
                 path("s.safetensors").string()}),
            kDone)
      << err();
  EXPECT_EQ(read_tensors(path("s.safetensors")).at("features").size(0), 4);
  EXPECT_THAT(text_of_file(path("s.safetensors.txt")),
              AllOf(HasSubstr("shards/picture-2\n"), HasSubstr("pictures/1.png\n")));
}

TEST_F(ModelCommand, APictureThatIsNoneIsNamedCountedAndLeftOut) {
  std::ofstream(path("pictures/2b.png")) << "not a picture";
  ASSERT_EQ(run_on_pictures("features", {"--out", path("f.npy").string()}), kDone);
  EXPECT_THAT(err(), HasSubstr("pictures/2b.png: "));
  EXPECT_THAT(out(), AllOf(HasSubstr("5 pictures"), HasSubstr("1 left out")));
  EXPECT_THAT(text_of_file(path("f.npy.txt")), Not(HasSubstr("2b")));
  const std::string alone = path("pictures/2b.png").string();
  EXPECT_EQ(run({"features", "--weights", weights().string(), "--input", alone, "--size", "32", "--out",
                 path("none.npy").string()}),
            kFailed);
  EXPECT_THAT(err(), HasSubstr("not one of the 1 pictures can be used"));
  EXPECT_FALSE(fs::exists(path("none.npy")));
}

TEST_F(ModelCommand, APictureTooNarrowForASquareIsLeftOut) {
  write_bytes(path("narrow/line.png"), data::encode_png(data::Image(60'000, 1)));
  write_bytes(path("narrow/square.png"), data::encode_png(drawn_picture(1, 40, 40)));
  ASSERT_EQ(run({"features", "--weights", weights().string(), "--input", path("narrow").string(), "--size",
                 "32", "--fit", "pad", "--out", path("n.npy").string()}),
            kDone);
  EXPECT_THAT(err(), HasSubstr("line.png: not used: 60000 × 1 pixels"));
}

TEST_F(ModelCommand, AttentionShowsEveryHeadOfClassTokenAndRegisters) {
  ASSERT_EQ(run_on_pictures("attention", {"--out", path("maps").string()}), kDone) << err();
  const data::Image sheet = read_png(path("maps/3.png"));
  EXPECT_EQ(sheet.width, 3 * 32 + 2 * 4) << "the picture and two heads";
  EXPECT_EQ(sheet.height, 4 * 32 + 3 * 4) << "class token and three registers";
  const data::Image square = squares()[3];
  for (int y = 0; y < 32; ++y)
    EXPECT_TRUE(std::equal(square.row(y), square.row(y) + 3 * 32, sheet.row(y))) << y;
  EXPECT_EQ(std::distance(fs::directory_iterator(path("maps")), fs::directory_iterator()), 5);
}

TEST_F(ModelCommand, AttentionGoesThroughManyPicturesAndNamesThemByThoseItCanUse) {
  for (int i = 0; i < 20; ++i)
    write_bytes(path("many/" + std::to_string(i) + "/cat.png"),
                data::encode_png(drawn_picture(static_cast<std::uint64_t>(i), 40, 40)));
  std::ofstream(path("many/0/cat.json")) << "beside a picture, not one";
  const std::vector<std::string> words = {
      "attention", "--weights", weights().string(),   "--input", path("many").string(), "--size",
      "32",        "--out",     path("maps").string()};
  ASSERT_EQ(run(words), kDone) << err();
  EXPECT_THAT(err(), HasSubstr("many/0/cat.json: not used"));
  EXPECT_EQ(std::distance(fs::directory_iterator(path("maps")), fs::directory_iterator()), 20);
  for (const char* name : {"cat.png", "cat-2.png", "cat-20.png"})
    EXPECT_TRUE(fs::exists(path("maps") / name)) << name;
  fs::rename(path("maps/cat-7.png"), path("kept.png"));
  fs::remove_all(path("maps"));
  fs::create_directory(path("maps"));
  fs::rename(path("kept.png"), path("maps/cat-7.png"));
  expect_refused(words, kWrongUsage, "cat-7.png: is there already");
  EXPECT_EQ(std::distance(fs::directory_iterator(path("maps")), fs::directory_iterator()), 1);
}

TEST_F(ModelCommand, PicturesAreDecodedNoMoreThanSoManyAtOnce) {
  const PictureInputs inputs({pictures()});
  std::vector<std::size_t> sizes;
  std::vector<std::string> names;
  std::ostringstream errors;
  for_decoded_pictures(inputs, {{32, .875, false}}, network_, 2, 1, errors,
                       [&](std::vector<NamedPicture> decoded) {
                         sizes.push_back(decoded.size());
                         for (const NamedPicture& picture : decoded)
                           names.push_back(fs::path(picture.name).filename());
                       });
  EXPECT_EQ(sizes, (std::vector<std::size_t>{2, 2, 1}));
  EXPECT_EQ(names, (std::vector<std::string>{"0.png", "1.png", "2.png", "3.png", "4.png"}));
}

TEST_F(ModelCommand, ALinkToAFolderIsNamedAndItsPicturesAreLeftOut) {
  write_bytes(path("elsewhere/9.png"), data::encode_png(drawn_picture(9, 40, 40)));
  fs::create_directory_symlink(path("elsewhere"), path("pictures/linked"));
  fs::create_symlink(path("elsewhere/9.png"), path("pictures/9.png"));
  ASSERT_EQ(run_on_pictures("features", {"--out", path("f.npy").string()}), kDone) << err();
  EXPECT_THAT(err(), HasSubstr("pictures/linked: not used: a link to a folder, which is not followed"));
  EXPECT_THAT(out(), AllOf(HasSubstr("6 pictures"), HasSubstr("1 left out")));
  EXPECT_THAT(text_of_file(path("f.npy.txt")), HasSubstr("pictures/9.png\n"));
}

TEST_F(ModelCommand, ComponentsStandBesideEachPicture) {
  write_bytes(path("pictures/deeper/0.png"), data::encode_png(drawn_picture(9, 40, 40)));
  ASSERT_EQ(run_on_pictures("pca", {"--out", path("colors").string()}), kDone) << err();
  for (const char* name : {"0.png", "0-2.png", "4.png"}) {
    const data::Image pair = read_png(path("colors") / name);
    EXPECT_EQ(pair.width, 2 * 32 + 4) << name;
    EXPECT_EQ(pair.height, 32) << name;
  }
  EXPECT_THAT(out(), HasSubstr("% of the variance"));
}

// Four rows and six columns of patches, which no shape in the file tells.
class Rectangle : public ModelCommand {
 protected:
  void SetUp() override {
    ModelCommand::SetUp();
    write_tensors(file(), rectangle_.parameters());
  }
  static model::VisionTransformerOptions options() {
    model::VisionTransformerOptions options = tiny();
    options.image_height = 32;
    options.image_width = 48;
    return options;
  }
  fs::path file() const { return path("rectangle.safetensors"); }
  std::string words() const { return file().string(); }

  const model::VisionTransformer rectangle_ = network_of(options());
};

TEST_F(Rectangle, IsReadWithItsGridAndNotWithoutOrWithAnother) {
  expect_refused({"info", "--weights", words()}, kWrongUsage, "pos_embed has 25 rows, which are no square");
  expect_refused({"info", "--weights", words(), "--grid", "5x5"}, kWrongUsage,
                 "a grid of 5x5 patches need 26");
  for (const char* wrong : {"24", "4x", "x6", "4x6x1", "0x24", "-4x6", "4×6"})
    expect_refused({"info", "--weights", words(), "--grid", wrong}, kWrongUsage, "--grid is '");
  const json about = info_of(file(), {"--grid", "4x6"});
  EXPECT_EQ(about["positions"]["rows"], 4);
  EXPECT_EQ(about["positions"]["columns"], 6);
  EXPECT_EQ(about["positions"]["image_width"], 48);
  EXPECT_EQ(about["normalization"]["mean"], json({.485, .456, .406}));
}

TEST_F(Rectangle, GoesOutUnderOfficialNamesWithANoteAndNotToHuggingFace) {
  const fs::path out = path("out.safetensors");
  ASSERT_EQ(
      run({"convert", "--weights", words(), "--grid", "4x6", "--to", "official", "--out", out.string()}),
      kDone)
      << err();
  EXPECT_THAT(err(), HasSubstr("--grid 4x6"));
  for (const auto& [name, tensor] : rectangle_.parameters())
    EXPECT_TRUE(torch::equal(read_tensors(out).at(name), tensor)) << name;
  expect_refused({"convert", "--weights", words(), "--grid", "4x6", "--to", "hugging-face", "--out",
                  path("hf").string()},
                 kWrongUsage, "only with a square one");
}

TEST_F(Rectangle, IsComputedAtItsOwnGridWithItsOwnTable) {
  const auto images = torch::randn({2, 3, 32, 48});
  write_tensors(path("images.safetensors"), {{"images", images}});
  ASSERT_EQ(run({"forward", "--weights", words(), "--grid", "4x6", "--images",
                 path("images.safetensors").string(), "--out", path("t.safetensors").string()}),
            kDone)
      << err();
  const torch::NoGradGuard no_grad;
  const auto tokens = read_tensors(path("t.safetensors"));
  EXPECT_TRUE(torch::equal(tokens.at("patches"), rectangle_.forward_features(images).patches_BND));
  EXPECT_EQ(tokens.at("patches").size(1), 24);
}

TEST_F(Rectangle, InACheckpointSaysItsGrid) {
  const auto checkpoint =
      write_checkpoint(rectangle_, {{"step", 1}, {"backbone", backbone_to_json(options())}});
  EXPECT_EQ(info_of(checkpoint)["positions"]["columns"], 6);
  EXPECT_EQ(info_of(checkpoint, {"--grid", "4x6"})["positions"]["rows"], 4);
  expect_refused({"info", "--weights", checkpoint.string(), "--grid", "6x4"}, kWrongUsage,
                 "positions of 4x6 patches, not of 6x4");
}

TEST_F(Rectangle, InAFolderIsReadByItsConfig) {
  fs::create_directories(path("folder"));
  fs::copy(file(), path("folder/model.safetensors"));
  const auto with_config = [&](const json& config) { std::ofstream(path("folder/config.json")) << config; };
  with_config({{"image_size", {32, 48}}, {"patch_size", 8}, {"num_attention_heads", 2}});
  EXPECT_EQ(info_of(path("folder"))["positions"]["columns"], 6);
  expect_refused({"info", "--weights", path("folder").string(), "--grid", "6x4"}, kWrongUsage,
                 "config.json says positions of 4x6 patches, --grid says 6x4");
  with_config({{"image_size", {32, 48}}});
  expect_refused({"info", "--weights", path("folder").string()}, kWrongUsage, "image_size is [32,48]");
  with_config({{"image_size", 224}, {"patch_size", 8}});
  expect_refused({"info", "--weights", path("folder").string()}, kWrongUsage, "no square");
}

TEST_F(ModelCommand, SidesThatThePatchDoesNotDivideAreTakenAsAskedFor) {
  const auto images = torch::randn({2, 3, 30, 43});
  write_tensors(path("images.safetensors"), {{"images", images}});
  const auto patches = [&](const std::string& sides) {
    EXPECT_EQ(
        run({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
             "--out", path("t.safetensors").string(), "--sides", sides, "--force"}),
        kDone)
        << err();
    return read_tensors(path("t.safetensors")).at("patches");
  };
  const torch::NoGradGuard no_grad;
  auto padded = torch::zeros({2, 3, 32, 48});
  padded.slice(2, 0, 30).slice(3, 0, 43).copy_(images);
  EXPECT_TRUE(torch::equal(patches("pad"), network_.forward_features(padded).patches_BND));
  EXPECT_EQ(patches("resize").sizes(), (torch::IntArrayRef{2, 4 * 5, 128}));
  expect_refused({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
                  "--out", path("u.safetensors").string()},
                 kWrongUsage, "multiples of 8");
  expect_refused({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
                  "--out", path("u.safetensors").string(), "--sides", "crop"},
                 kWrongUsage, "refuse, resize, pad");
}

TEST_F(ModelCommand, WholePicturesKeepTheirProportions) {
  // 60×50, 70×50, 80×50, 90×50 and 100×50 pixels, 32 high: 38, 44, 51, 57 and 64 wide.
  const std::string out = path("f.safetensors").string();
  ASSERT_EQ(run_on_pictures("features", {"--fit", "whole", "--sides", "pad", "--out", out}), kDone) << err();
  const auto rows = read_tensors(out).at("features");
  ASSERT_EQ(rows.size(0), 5);
  const torch::NoGradGuard no_grad;
  for (int i = 0; i < 5; ++i) {
    const auto picture = read_png(path("pictures/" + std::to_string(i) + ".png"));
    const auto image = data::resize(picture, 32 * picture.width / 50, 32);
    auto images = torch::empty({1, 3, 32, image.width});
    data::normalize(image, {}, images.data_ptr<float>());
    const auto wide = torch::constant_pad_nd(images, {0, (8 - image.width % 8) % 8}, 0);
    EXPECT_TRUE(torch::allclose(rows[i], network_.forward_features(wide).cls_BD[0], 1e-4, 1e-5)) << i;
  }
  // Only the last of them fits as it is.
  ASSERT_EQ(run_on_pictures("features", {"--fit", "whole", "--out", out, "--force"}), kDone) << err();
  EXPECT_EQ(read_tensors(out).at("features").size(0), 1);
  EXPECT_THAT(err(), AllOf(HasSubstr("2.png: not used: 51 × 32 pixels"), HasSubstr("--sides resize")));
  EXPECT_EQ(text_of_file(out + ".txt"), pictures() + "/4.png\n");
  EXPECT_EQ(run_on_pictures("features", {"--fit", "whole", "--sides", "pad", "--what", "patches", "--out",
                                         path("p.safetensors").string()}),
            kWrongUsage);
  EXPECT_THAT(err(), HasSubstr("4 x 5 and 4 x 6"));
}

TEST_F(ModelCommand, MapsOfWholePicturesLieOverThem) {
  for (const char* sides : {"resize", "pad"}) {
    const fs::path dir = path(std::string("maps-") + sides), colors = path(std::string("colors-") + sides);
    ASSERT_EQ(run_on_pictures("attention", {"--fit", "whole", "--sides", sides, "--out", dir.string()}),
              kDone)
        << err();
    const data::Image sheet = read_png(dir / "2.png");
    EXPECT_EQ(sheet.width, 3 * 51 + 2 * 4);
    EXPECT_EQ(sheet.height, 4 * 32 + 3 * 4);
    // Cells of padding are 8 wide and cut at the edge; resized ones share the width.
    const std::uint8_t* row = sheet.row(0) + 3 * (51 + 4);
    const int first = std::string(sides) == "pad" ? 8 : 9;  // 51 pixels are 7 cells, or 6 of 8.5
    for (int x = 1; x < first; ++x) EXPECT_TRUE(std::equal(row, row + 3, row + 3 * x)) << sides << ' ' << x;
    ASSERT_EQ(run_on_pictures("pca", {"--fit", "whole", "--sides", sides, "--out", colors.string()}), kDone)
        << err();
    EXPECT_EQ(read_png(colors / "2.png").width, 2 * 51 + 4);
    EXPECT_EQ(read_png(colors / "4.png").width, 2 * 64 + 4);
  }
}

TEST_F(ModelCommand, ASquareOfAnySizeIsTakenWhereSidesAllowIt) {
  const auto features_at = [&](const std::string& size, const std::string& sides) {
    const std::string out = path("f.safetensors").string();
    EXPECT_EQ(run({"features", "--weights", weights().string(), "--input", pictures(), "--size", size,
                   "--sides", sides, "--what", "patches", "--out", out, "--force"}),
              kDone)
        << err();
    return read_tensors(out).at("features").size(1);
  };
  EXPECT_EQ(features_at("33", "pad"), 25);
  EXPECT_EQ(features_at("33", "resize"), 16);
}

TEST_F(ModelCommand, PicturesOfOtherChannelsNeedTheirNormalisation) {
  for (const std::int64_t channels : {1, 4}) {
    auto options = tiny();
    options.channels = channels;
    const auto network = network_of(options);
    const fs::path file = path("channels-" + std::to_string(channels) + ".safetensors");
    write_tensors(file, network.parameters());
    EXPECT_EQ(info_of(file)["channels"], channels);
    EXPECT_TRUE(info_of(file)["normalization"].is_null());
    const std::vector<std::string> words = {"features", "--weights", file.string(),
                                            "--input",  pictures(),  "--size",
                                            "32",       "--out",     path("f.safetensors").string(),
                                            "--force"};
    expect_refused(words, kWrongUsage, "--mean and --std are needed");
    std::vector<std::string> given = words;
    const data::Normalization normalization = channels == 1
                                                  ? data::Normalization{{.25}, {.5}}
                                                  : data::Normalization{{.1, .2, .3, .4}, {.5, .6, .7, .8}};
    given.push_back("--mean");
    for (const double mean : normalization.mean) given.push_back(std::to_string(mean));
    given.push_back("--std");
    for (const double std : normalization.std) given.push_back(std::to_string(std));
    ASSERT_EQ(run(given), kDone) << err();
    std::vector<data::Image> squares;
    for (int i = 0; i < 5; ++i) {
      const std::string png = text_of_file(path("pictures/" + std::to_string(i) + ".png"));
      squares.push_back(evaluate::square_of(
          *data::decode_image(storage::bytes_of(png), {}, static_cast<int>(channels)), {32, .875, false}));
    }
    std::vector<const data::Image*> pointers;
    for (const data::Image& square : squares) pointers.push_back(&square);
    const auto wanted =
        evaluate::features_of(network, normalization, pointers, "cls", 16, 1, [](std::size_t) {});
    const auto rows = read_tensors(path("f.safetensors")).at("features");
    EXPECT_EQ(std::memcmp(rows.const_data_ptr(), wanted.values.data(), rows.nbytes()), 0);
    given = words;
    given.insert(given.end(), {"--mean", ".5", "--std", ".5", ".5"});
    expect_refused(given, kWrongUsage, "there are 1 means and 2 deviations");
    given = words;
    given.insert(given.end(), {"--mean", ".5", ".5", ".5", "--std", ".5", ".5", ".5"});
    expect_refused(given, kWrongUsage,
                   "takes " + std::to_string(channels) + " channels, and the normalisation has 3");
  }
  auto options = tiny();
  options.channels = 2;
  write_tensors(path("two.safetensors"), network_of(options).parameters());
  expect_refused({"features", "--weights", path("two.safetensors").string(), "--input", pictures(), "--size",
                  "32", "--out", path("f.npy").string()},
                 kWrongUsage, "takes 2 channels, pictures have 1, 3 or 4");
}

TEST_F(ModelCommand, ACheckpointsNormalisationIsUsedGoesWithItAndIsNotReplaced) {
  const data::Normalization own{{.1, .2, .3}, {.4, .5, .6}};
  const auto checkpoint = write_checkpoint(
      network_,
      {{"step", 7}, {"backbone", backbone_to_json(tiny())}, {"normalization", normalization_to_json(own)}});
  const auto features_of = [&](const fs::path& model) {
    EXPECT_EQ(run({"features", "--weights", model.string(), "--input", pictures(), "--size", "32", "--out",
                   path("f.safetensors").string(), "--force"}),
              kDone)
        << err();
    return read_tensors(path("f.safetensors")).at("features");
  };
  const auto own_features = features_of(checkpoint);
  EXPECT_FALSE(torch::allclose(own_features, features_of(weights()), 1e-2, 1e-2)) << "ImageNet's";
  expect_refused(
      {"info", "--weights", checkpoint.string(), "--mean", ".5", ".5", ".5", "--std", ".5", ".5", ".5"},
      kWrongUsage, "was trained with");
  ASSERT_EQ(run({"convert", "--weights", checkpoint.string(), "--to", "hugging-face", "--out",
                 path("hf").string()}),
            kDone)
      << err();
  EXPECT_EQ(json::parse(text_of_file(path("hf/preprocessor_config.json")))["image_mean"], json(own.mean));
  EXPECT_TRUE(torch::equal(features_of(path("hf")), own_features));
  ASSERT_EQ(run({"convert", "--weights", checkpoint.string(), "--to", "official", "--out",
                 path("o.safetensors").string()}),
            kDone);
  EXPECT_THAT(err(), HasSubstr("does not say that pixels are normalised by"));
  std::ofstream(path("hf/preprocessor_config.json")) << json{{"image_mean", {1, 2}}, {"image_std", {1}}};
  expect_refused({"info", "--weights", path("hf").string()}, kWrongUsage, "2 means and 1 deviations");
}

TEST_F(ModelCommand, WrongInputsAreRefusedInOneSentence) {
  const std::string w = weights().string();
  expect_refused({"info", "--weights", path("nothing.pth").string()}, kWrongUsage, "no such file");
  expect_refused({"info", "--weights", path("pictures").string()}, kWrongUsage, "neither manifest.json");
  expect_refused({"info", "--weights", path("pictures/0.png").string()}, kWrongUsage, "no kind of weights");
  std::ofstream(path("torn.safetensors")) << "12345678";
  expect_refused({"info", "--weights", path("torn.safetensors").string()}, kFailed, "torn.safetensors");
  std::ofstream(path("torn.pth")) << "12345678";
  EXPECT_NE(run({"info", "--weights", path("torn.pth").string()}), kDone);
  EXPECT_THAT(err(), HasSubstr("torn.pth"));

  model::NamedTensors odd = network_.parameters();
  const torch::Tensor stranger = torch::ones({3});
  odd.emplace_back("blocks.0.attn.stranger", stranger);
  write_tensors(path("odd.safetensors"), odd);
  expect_refused({"info", "--weights", path("odd.safetensors").string()}, kWrongUsage, "stranger");

  expect_refused(
      {"features", "--weights", w, "--input", pictures(), "--size", "33", "--out", path("x.npy").string()},
      kWrongUsage, "the nearest are 32 and 40");
  expect_refused(
      {"features", "--weights", w, "--input", path("no-pictures").string(), "--out", path("x.npy").string()},
      kWrongUsage, "no-pictures: there is no such");
  expect_refused({"features", "--weights", w, "--input", pictures(), "--what", "patches", "--out",
                  path("x.npy").string()},
                 kWrongUsage, "give --out a .safetensors");

  write_tensors(path("images.safetensors"), {{"pictures", torch::ones({1, 3, 32, 32})}});
  expect_refused({"forward", "--weights", w, "--images", path("images.safetensors").string(), "--out",
                  path("t.safetensors").string()},
                 kWrongUsage, "no tensor named images");
  write_tensors(path("images.safetensors"), {{"images", torch::ones({1, 3, 36, 32})}});
  expect_refused({"forward", "--weights", w, "--images", path("images.safetensors").string(), "--out",
                  path("t.safetensors").string()},
                 kWrongUsage, "multiples of 8");
}

TEST_F(ModelCommand, ResultsThatExistStayUnlessForced) {
  std::ofstream(path("f.npy")) << "mine";
  const std::vector<std::string> words = {"features", "--weights", weights().string(),
                                          "--input",  pictures(),  "--size",
                                          "32",       "--out",     path("f.npy").string()};
  expect_refused(words, kWrongUsage, "--force");
  EXPECT_EQ(text_of_file(path("f.npy")), "mine");
  std::vector<std::string> forced = words;
  forced.push_back("--force");
  EXPECT_EQ(run(forced), kDone) << err();
  EXPECT_NE(text_of_file(path("f.npy")), "mine");
  const std::vector<std::string> convert = {"convert",      "--weights", weights().string(), "--to",
                                            "hugging-face", "--out",     path("hf").string()};
  EXPECT_EQ(run(convert), kDone) << err();
  expect_refused(convert, kWrongUsage, "config.json: is there already");
}

// While this lives no file of this process can grow beyond so many bytes: a disk that is full for large files.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    before_action_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, before_action_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*before_action_)(int) = nullptr;
};

TEST_F(ModelCommand, ATableThatCannotBeWrittenChangesNothing) {
  for (const char* name : {"f.npy", "f.safetensors"}) {
    const fs::path table = path(std::string("out/") + name), names = table.string() + ".txt";
    const auto run_limited = [&] {
      const FileSizeLimit limit(1'500);  // the names fit, five rows of 128 numbers don't
      return run_on_pictures("features", {"--out", table.string(), "--force"});
    };
    EXPECT_EQ(run_limited(), kFailed);
    EXPECT_EQ(std::distance(fs::directory_iterator(path("out")), fs::directory_iterator()), 0) << name;
    std::ofstream(table) << "older table";
    std::ofstream(names) << "older names";
    EXPECT_EQ(run_limited(), kFailed);
    EXPECT_EQ(text_of_file(table), "older table");
    EXPECT_EQ(text_of_file(names), "older names");
    EXPECT_EQ(std::distance(fs::directory_iterator(path("out")), fs::directory_iterator()), 2) << name;
    fs::remove_all(path("out"));
  }
}

TEST_F(ModelCommand, OptionsAreHeldAgainstWhatIsKnown) {
  expect_refused({"fetures"}, kWrongUsage, "did you mean `features`?");
  expect_refused({"info", "--wieghts", "x"}, kWrongUsage, "did you mean `--weights`?");
  expect_refused({"info"}, kWrongUsage, "--weights PATH is missing");
  expect_refused({"info", "--weights"}, kWrongUsage, "needs PATH");
  expect_refused({"info", "--weights", "a", "--weights", "b"}, kWrongUsage, "given twice");
  expect_refused({"info", "--weights", weights().string(), "--heads", "two"}, kWrongUsage, "whole number");
  expect_refused({"info", "--weights", weights().string(), "--heads", "3"}, kWrongUsage, "heads");
  expect_refused({"convert", "--weights", weights().string(), "--to", "flax", "--out", "x"}, kWrongUsage,
                 "official, hugging-face");
  EXPECT_EQ(run({"--help"}), kDone);
  for (const char* command : {"info", "convert", "forward", "features", "attention", "pca"}) {
    EXPECT_EQ(run({"--help"}), kDone);
    EXPECT_THAT(out(), HasSubstr(command));
    EXPECT_EQ(run({command, "--help"}), kDone);
    EXPECT_THAT(out(), HasSubstr("--weights PATH"));
  }
  EXPECT_EQ(run({}), kWrongUsage);
  EXPECT_THAT(err(), HasSubstr("features"));
}

}  // namespace
}  // namespace paddock::jobs
