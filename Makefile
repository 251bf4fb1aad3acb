# SPDX-License-Identifier: Apache-2.0
# Meson builds; these are the commands that people type. Debian 12: ./run and ./check need no make.

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60

.PHONY: all run check bench fuzz zoo changes-zoo lint format install clean help

all: build/build.ninja ## build build/weir
	@ninja -C build --quiet

build/build.ninja:
	@meson setup build --prefix=$(PREFIX) >/dev/null

run: all ## build, then assess a real model and a remix of it
	@tools/demo build/weir

check: ## all tests, a sanitizer build included
	@tools/install-packages build test
	@tools/check

bench: ## measure speed and memory; results go to bench/results
	@tools/install-packages build run
	@tools/bench

fuzz: ## run every fuzz target for FUZZ_SECONDS (60)
	@tools/install-packages build fuzz
	@tools/fuzz $(FUZZ_SECONDS)

zoo: ## build the zoo of models and judge every trace and diff of it; results go to bench/results
	@tools/install-packages build run
	@tools/zoo

changes-zoo: ## the part of the zoo that judges what was modified; results go to bench/results
	@tools/install-packages build run
	@tools/changes-zoo

lint: ## layout, shell scripts, clang-tidy over every C file
	@tools/install-packages build lint
	@tools/lint

format: ## lay out every C file with clang-format
	@tools/install-packages lint
	@find include src cli tests bench -name '*.[ch]' -exec clang-format-14 -i {} +

install: all ## install under PREFIX (/usr/local), below DESTDIR if given
	@meson configure build --prefix=$(PREFIX)
	@DESTDIR=$(DESTDIR) meson install -C build --quiet

clean: ## remove the build folders
	@rm --recursive --force build build-asan build-fuzz build-release

help: ## this list
	@sed --quiet --regexp-extended 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand --tabs=18
