# Seed and Peer. `make` builds bin/seed and bin/peer; see README.md.
# BUILD= and BIN= move the output, SAN=address,undefined or SAN=thread
# instruments it, WERROR=1 is what our own test run uses.

CC      ?= cc
BUILD   ?= build
BIN     ?= bin
PREFIX  ?= /usr/local
VERSION := 0.1.0

CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes \
           -Wstrict-prototypes -Wundef
ifneq ($(shell $(CC) --version 2>/dev/null | grep -c clang),0)
WARN    += -Wthread-safety
endif
ifdef WERROR
WARN    += -Werror
endif
ifdef SAN
SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
LIBS    := libcjson inih libsodium
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -DSEEDPEER_VERSION='"$(VERSION)"' \
              -Iinclude -Isrc $(WARN) $(shell pkg-config --cflags $(LIBS) 2>/dev/null) \
              -pthread $(SANFLAGS) $(CPPFLAGS) $(CFLAGS)
LINK    := $(CC) -pthread $(SANFLAGS) $(CFLAGS) $(LDFLAGS)
LDLIBS  := $(shell pkg-config --libs $(LIBS) 2>/dev/null)

# These call us again; demo, test, bench and fuzz install what is missing before.
ifneq ($(filter-out demo test bench coverage fuzz inject clean,$(or $(MAKECMDGOALS),all)),)
ifeq ($(LDLIBS),)
$(error $(LIBS) or pkg-config are missing; scripts/deps.sh installs them)
endif
# Other flags, other objects: what they were built with stands in a file that
# is written only when that changes.
FLAGS   := $(strip $(LINK) $(ALL_CFLAGS))
ifneq ($(strip $(file <$(BUILD)/flags)),$(FLAGS))
$(shell mkdir -p $(BUILD))
$(file >$(BUILD)/flags,$(FLAGS))
endif
endif

SAY     := $(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,echo) # make -s

objects = $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/$(1)/*.c))
BASE := $(call objects,base)
WIRE := $(call objects,wire)
CORE := $(call objects,core)
IO   := $(call objects,io)
SEED_ROOM := $(call objects,seed)
PEER_ROOM := $(call objects,peer)
PURE := $(BASE) $(WIRE) $(CORE)
TESTS := $(patsubst tests/unit/test_%.c,$(BUILD)/unit/test_%,$(wildcard tests/unit/test_*.c))

all: $(BIN)/seed $(BIN)/peer

$(BIN)/seed: $(SEED_ROOM) $(IO) $(PURE)
$(BIN)/peer: $(PEER_ROOM) $(IO) $(PURE)
$(BIN)/seed $(BIN)/peer:
	@mkdir -p $(@D)
	@$(SAY) "  LD  $@"
	@$(LINK) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: src/%.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  CC  $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# A unit test is one file, linked with what it needs of all but the mains.
LIB := $(filter-out $(BUILD)/seed/main.o $(BUILD)/peer/main.o,$(SEED_ROOM) $(PEER_ROOM)) $(IO) $(PURE)
$(BUILD)/unit/all.a: $(LIB)
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $^
$(BUILD)/unit/%.o: tests/unit/%.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  CC  $<"
	@$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -c -o $@ $<
# tests/unit/scarce.c stands before malloc and can make it fail.
SCARCE := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(BUILD)/unit/test_inbox: SCARCE += -Wl,--wrap=channel_open
$(BUILD)/unit/test_sock: SCARCE += -Wl,--wrap=getaddrinfo,--wrap=freeaddrinfo
$(BUILD)/unit/test_%: $(BUILD)/unit/test_%.o $(BUILD)/unit/scarce.o $(BUILD)/unit/all.a
	@$(SAY) "  LD  $@"
	@$(LINK) $(SCARCE) -o $@ $^ $(LDLIBS) -lcmocka

# The simulator: a core for each of many peers, and no operating system.
SIM := $(patsubst tests/sim/%.c,$(BUILD)/simulator/%.o,$(wildcard tests/sim/*.c))
$(BUILD)/simulator/%.o: tests/sim/%.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  CC  $<"
	@$(CC) $(ALL_CFLAGS) -Itests -MMD -MP -c -o $@ $<
$(BUILD)/sim: $(SIM) $(PURE)
	@mkdir -p $(@D)
	@$(SAY) "  LD  $@"
	@$(LINK) -o $@ $^ $(LDLIBS)

# Fuzz targets: each is one file, linked with only what it looks at; what it
# puts in the place of the operating system it defines itself. replay_NAME runs
# inputs that are there, fuzz_NAME (clang; see scripts/fuzz.sh) finds new ones.
# CJSON= is a directory with cJSON.c, to be instrumented, too.
FUZZ_TARGETS := frame node seed config console
fuzz_frame   := $(BASE) $(WIRE) $(BUILD)/io/inbox.o $(BUILD)/peer/detail.o
fuzz_seed    := $(BASE) $(WIRE) $(addprefix $(BUILD)/core/,registry.o index.o slab.o) \
                $(addprefix $(BUILD)/io/,inbox.o talk.o greeting.o reject.o waker.o) \
                $(BUILD)/seed/service.o $(BUILD)/seed/verify.o
$(BUILD)/fuzz/replay_seed $(BUILD)/fuzz/fuzz_seed: FUZZ_LINK := -Wl,--wrap=crypto_random
fuzz_console := $(BASE) $(WIRE) $(BUILD)/io/clock.o \
                $(addprefix $(BUILD)/peer/,console.o input.o history.o parcel.o)
$(BUILD)/fuzz/replay_console $(BUILD)/fuzz/fuzz_console: FUZZ_LINK := \
  -Wl,--wrap=read,--wrap=poll,--wrap=close,--wrap=eventfd,--wrap=isatty \
  -Wl,--wrap=clock_ms,--wrap=clock_wall_ms
fuzz_config  := $(BASE)
fuzz_node    := $(PURE) $(BUILD)/unit/scarce.o
$(BUILD)/fuzz/replay_node $(BUILD)/fuzz/fuzz_node: FUZZ_LINK := $(SCARCE)
ifdef CJSON
FUZZ_LIBS := $(BUILD)/fuzzing/cJSON.o $(filter-out -lcjson,$(LDLIBS))
$(BUILD)/fuzzing/cJSON.o: $(CJSON)/cJSON.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  CC  $<"
	@$(CC) $(SANFLAGS) $(CFLAGS) -w -c -o $@ $<
else
FUZZ_LIBS := $(LDLIBS)
endif
$(BUILD)/fuzzing/%.o: tests/fuzz/%.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  CC  $<"
	@$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -c -o $@ $<
define fuzz_rules
$(BUILD)/fuzz/replay_$(1): $(BUILD)/fuzzing/fuzz_$(1).o $(BUILD)/fuzzing/replay.o $(fuzz_$(1)) $(filter %.o,$(FUZZ_LIBS))
	@mkdir -p $$(@D)
	@$$(SAY) "  LD  $$@"
	@$$(LINK) $$(FUZZ_LINK) -o $$@ $$(filter %.o,$$^) $$(filter-out %.o,$$(FUZZ_LIBS)) -lcmocka
$(BUILD)/fuzz/fuzz_$(1): $(BUILD)/fuzzing/fuzz_$(1).o $(fuzz_$(1)) $(filter %.o,$(FUZZ_LIBS))
	@mkdir -p $$(@D)
	@$$(SAY) "  LD  $$@"
	@$$(LINK) -fsanitize=fuzzer $$(FUZZ_LINK) -o $$@ $$(filter %.o,$$^) $$(filter-out %.o,$$(FUZZ_LIBS)) -lcmocka
endef
$(foreach target,$(FUZZ_TARGETS),$(eval $(call fuzz_rules,$(target))))
# For differential.py: plain objects, as a library.
$(BUILD)/fuzz/differ.so: tests/fuzz/differ.c $(BASE:$(BUILD)/%.o=src/%.c) $(WIRE:$(BUILD)/%.o=src/%.c) $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  LD  $@"
	@$(CC) $(filter-out -fsanitize=%,$(ALL_CFLAGS)) -shared -fPIC -o $@ $(filter %.c,$^) $(LDLIBS)
replays: $(BUILD)/fuzz/differ.so $(FUZZ_TARGETS:%=$(BUILD)/fuzz/replay_%)
fuzzers: $(BUILD)/fuzz/differ.so $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz_%)

# Fault injection: a seed and two peers in one process, whose system calls and
# memory fail on order.
FAULTS := $(shell sed -n 's/^\tX.\([a-z0-9_]*\), .*/\1/p' tests/inject/fault.h)
INJECT := $(patsubst tests/inject/%.c,$(BUILD)/injection/%.o,$(wildcard tests/inject/*.c))
$(BUILD)/injection/%.o: tests/inject/%.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  CC  $<"
	@$(CC) $(ALL_CFLAGS) -Itests -MMD -MP -c -o $@ $<
$(BUILD)/inject: $(INJECT) $(LIB)
	@mkdir -p $(@D)
	@$(SAY) "  LD  $@"
	@$(LINK) $(FAULTS:%=-Wl,--wrap=%) -o $@ $^ $(LDLIBS)

# scripts/bench.sh: the yardsticks have nothing of ours in them, the others look
# at the hot functions, or put load on a seed. Each is one file.
YARDS := $(addprefix $(BUILD)/bench/,floor_flood floor_tree nats_node)
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
$(YARDS): $(BUILD)/bench/%: tests/bench/%.c tests/bench/floor.h $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  CC  $<"
	@$(CC) $(ALL_CFLAGS) -o $@ $<
$(filter-out $(YARDS),$(BENCHES)): $(BUILD)/bench/%: tests/bench/%.c $(IO) $(PURE) $(BUILD)/flags
	@mkdir -p $(@D)
	@$(SAY) "  LD  $@"
	@$(LINK) $(ALL_CFLAGS) -MMD -MP -o $@ $(filter %.c %.o,$^) $(LDLIBS)
benchmarks: $(BENCHES)

sim: $(BUILD)/sim
unit: $(TESTS)
pure: $(PURE)

# Twenty peers and three seeds under every fault we know. SAN= tortures an
# instrumented build of its own, SEEDPEER_BIN= programs that are there already.
#   make torture MINUTES=30 SEED=17 SAN=thread
MINUTES ?= 30
PEERS   ?= 20
SLOW    ?= $(if $(SAN),4,1)
comma   := ,
TORTURED := $(BUILD)/torture$(if $(SAN),-$(subst $(comma),-,$(SAN)))
torture:
ifndef SEEDPEER_BIN
	@$(MAKE) BUILD=$(TORTURED) BIN=$(TORTURED)/bin all
endif
	SEEDPEER_BIN=$(or $(SEEDPEER_BIN),$(TORTURED)/bin) tests/torture/torture.py \
	  --minutes $(MINUTES) --peers $(PEERS) --slow $(SLOW) \
	  $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE))

demo: ; ./scripts/demo.sh
test: ; ./scripts/test.sh
bench: ; ./scripts/bench.sh
coverage: ; ./scripts/coverage.sh
fuzz: ; ./scripts/fuzz.sh
inject: ; ./scripts/inject.sh

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/seedpeer
	install -m 755 $(BIN)/seed $(BIN)/peer $(DESTDIR)$(PREFIX)/bin
	install -m 644 README.md config.ini docs/protocol.md $(DESTDIR)$(PREFIX)/share/doc/seedpeer

clean:
	rm -rf $(BUILD)

.PHONY: all unit sim replays fuzzers pure benchmarks torture demo test bench coverage fuzz inject install clean
.SECONDARY:
-include $(wildcard $(BUILD)/*/*.d)
