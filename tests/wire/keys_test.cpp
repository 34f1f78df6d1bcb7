// Key files and the allow-list: what is written comes back, and whatever is wrong with one is said.
#include "wire/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "tests/temporary_folder.h"
#include "wire/allow_list.h"

namespace paddock::wire {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Keys : public ::testing::Test {
 protected:
  static mode_t mode_of(const fs::path& file) {
    struct stat status {};
    stat(file.c_str(), &status);
    return status.st_mode & 0777;
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder / name) << text; }

  const TemporaryFolder own;
  const fs::path folder = own.path();
};

using AllowListFile = Keys;

TEST_F(Keys, ANewKeyIsTwoFilesOfWhichOneIsSecret) {
  const KeyPair made = make_key_pair().value();
  ASSERT_TRUE(write_key_files(folder / "keys", "ada", made));
  EXPECT_EQ(mode_of(folder / "keys/ada.secret"), 0600u);
  const KeyPair read = read_secret_key(folder / "keys/ada.secret").value();
  EXPECT_EQ(read.public_key, made.public_key);
  EXPECT_EQ(read.secret_key, made.secret_key);
  for (const char* file : {"ada.secret", "ada.public"}) {
    const NamedKey key = read_public_key(folder / "keys" / file).value();
    EXPECT_EQ(key.name, "ada");
    EXPECT_EQ(key.public_key, made.public_key);
  }
  std::string line;
  std::getline(std::ifstream(folder / "keys/ada.public") >> std::ws, line);
  EXPECT_EQ(line, "paddock-public-key ada " + made.public_key);
  EXPECT_EQ(line.find(made.secret_key), std::string::npos);
}

TEST_F(Keys, AKeyIsNeverOverwritten) {
  const KeyPair first = make_key_pair().value();
  ASSERT_TRUE(write_key_files(folder, "ada", first));
  EXPECT_EQ(write_key_files(folder, "ada", make_key_pair().value()).error().code, Code::kConflict);
  fs::remove(folder / "ada.secret");
  EXPECT_EQ(write_key_files(folder, "ada", make_key_pair().value()).error().code, Code::kConflict);
  EXPECT_FALSE(fs::exists(folder / "ada.secret")) << "a pair is there whole or not at all";
  EXPECT_EQ(read_public_key(folder / "ada.public")->public_key, first.public_key);
}

TEST_F(Keys, ASecretThatOthersCanReadIsRefused) {
  ASSERT_TRUE(write_key_files(folder, "ada", make_key_pair().value()));
  chmod((folder / "ada.secret").c_str(), 0644);
  const auto refused = read_secret_key(folder / "ada.secret");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kDenied);
  EXPECT_THAT(refused.error().message, HasSubstr("chmod 600"));
}

TEST_F(Keys, AFileThatIsNoKeyIsRefusedWithItsName) {
  ASSERT_TRUE(write_key_files(folder, "ada", make_key_pair().value()));
  const KeyPair other = make_key_pair().value();
  write("torn.secret", "paddock-secret-key ada " + other.public_key + "\n");
  chmod((folder / "torn.secret").c_str(), 0600);
  write("mixed.secret",
        "paddock-secret-key ada " + other.public_key + " " + make_key_pair()->secret_key + "\n");
  chmod((folder / "mixed.secret").c_str(), 0600);
  EXPECT_THAT(read_secret_key(folder / "torn.secret").error().message, HasSubstr("torn.secret"));
  EXPECT_EQ(read_secret_key(folder / "mixed.secret").error().code, Code::kCorrupt);
  EXPECT_EQ(read_secret_key(folder / "ada.public").error().code, Code::kInvalid);
  EXPECT_EQ(read_secret_key(folder / "none.secret").error().code, Code::kNotFound);
  EXPECT_EQ(read_public_key(folder).error().code, Code::kInvalid);
  EXPECT_EQ(read_public_key("/dev/zero").error().code, Code::kInvalid);
  EXPECT_EQ(write_key_files(folder, "../ada", other).error().code, Code::kInvalid);
}

TEST_F(Keys, APublicKeyIsGivenAsItselfAsItsLineOrAsAFile) {
  const KeyPair keys = make_key_pair().value();
  ASSERT_TRUE(write_key_files(folder, "ada", keys));
  EXPECT_EQ(to_public_key(keys.public_key)->public_key, keys.public_key);
  EXPECT_EQ(to_public_key("paddock-public-key ada " + keys.public_key)->name, "ada");
  EXPECT_EQ(to_public_key((folder / "ada.public").string())->public_key, keys.public_key);
  EXPECT_FALSE(to_public_key("nonsense"));
}

TEST_F(AllowListFile, WhatIsAllowedIsFoundByItsKeyUntilItIsRevoked) {
  const fs::path file = folder / "allowed";
  const std::string ada = make_key_pair()->public_key;
  const std::string node = make_key_pair()->public_key;
  ASSERT_TRUE(allow_in(file, {Role::kSubmitter, "ada", ada, "vision", ""}));
  ASSERT_TRUE(allow_in(file, {Role::kWorker, "n1", node, "", "n1"}));
  const AllowList list = AllowList::read(file).value();
  ASSERT_NE(list.find(ada), nullptr);
  EXPECT_EQ(list.find(ada)->tenant, "vision");
  EXPECT_EQ(list.find(node)->role, Role::kWorker);
  EXPECT_EQ(list.find(node)->node, "n1");
  EXPECT_EQ(revoke_in(file, "ada")->key, ada);
  const AllowList rest = AllowList::read(file).value();
  EXPECT_EQ(rest.find(ada), nullptr);
  EXPECT_NE(rest.find(node), nullptr);
  EXPECT_EQ(revoke_in(file, "ada").error().code, Code::kNotFound);
  EXPECT_EQ(revoke_in(file, node)->name, "n1");
}

TEST_F(AllowListFile, CommentsOfAnEditorStay) {
  const std::string ada = make_key_pair()->public_key;
  write("allowed", "# the night shift\nviewer bob " + make_key_pair()->public_key + "\n");
  ASSERT_TRUE(allow_in(folder / "allowed", {Role::kOperator, "ada", ada, "", ""}));
  ASSERT_TRUE(revoke_in(folder / "allowed", "bob"));
  std::ifstream in(folder / "allowed");
  const std::string text(std::istreambuf_iterator<char>(in), {});
  EXPECT_EQ(text, "# the night shift\noperator ada " + ada + "\n");
}

TEST_F(AllowListFile, AKeyOrANameTwiceIsAConflict) {
  const std::string ada = make_key_pair()->public_key;
  const fs::path file = folder / "allowed";
  ASSERT_TRUE(allow_in(file, {Role::kOperator, "ada", ada, "", ""}));
  EXPECT_EQ(allow_in(file, {Role::kViewer, "eve", ada, "", ""}).error().code, Code::kConflict);
  EXPECT_EQ(allow_in(file, {Role::kViewer, "ada", make_key_pair()->public_key, "", ""}).error().code,
            Code::kConflict);
}

TEST(AllowList, AWrongLineIsRefusedWithItsNumberAndWhatIsAllowed) {
  const std::string key = make_key_pair()->public_key;
  const auto refusal = [](const std::string& text) {
    const auto list = AllowList::parse(text, "allowed");
    return list ? "accepted" : list.error().message;
  };
  EXPECT_THAT(refusal("# fine\n\nroot ada " + key),
              HasSubstr("allowed:3: 'root' is no role; allowed are operator"));
  EXPECT_THAT(refusal("operator ada short"), HasSubstr("allowed:1: 'short' is no key"));
  EXPECT_THAT(refusal("submitter ada " + key), HasSubstr("needs tenant="));
  EXPECT_THAT(refusal("operator ada " + key + " tenant=x"), HasSubstr("only a submitter or a viewer"));
  EXPECT_THAT(refusal("viewer ada " + key + " node=x"), HasSubstr("only a worker"));
  EXPECT_THAT(refusal("worker ada " + key + " colour=red"), HasSubstr("'colour=red' is not known"));
  EXPECT_THAT(refusal("worker ../ada " + key), HasSubstr("is no name"));
}

TEST(AllowList, AKeyMayBeginWithTheSignOfAComment) {
  const std::string key = "#" + std::string(39, 'a');
  EXPECT_NE(AllowList::parse("operator ada " + key, "allowed")->find(key), nullptr);
}

}  // namespace
}  // namespace paddock::wire
