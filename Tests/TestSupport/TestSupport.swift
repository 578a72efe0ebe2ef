import EmuBus
