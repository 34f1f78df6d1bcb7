// `paddock-run model features | attention | pca`: what they make of pictures.
#include "tests/jobs/model_command_case.h"

#include <sys/resource.h>

#include <csignal>

namespace paddock::jobs {
namespace {

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

}  // namespace
}  // namespace paddock::jobs
